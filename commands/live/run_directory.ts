/**
 * Where live VMs are found: a folder for each, with a lock that its owner holds as long as it lives.
 *
 *     $XDG_RUNTIME_DIR/hvsh/NAME/       or /tmp/hvsh-UID/NAME/, mode 700
 *       lock                            held by flock; the kernel drops it with the process
 *       control                         JSON-RPC 2.0
 *       config.json                     the document
 *       console.log                     what a detached VM's console said
 *       exit                            how it ended, until `wait` takes it
 *
 * @module
 */
import { HostError, VmError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag, tryLock } from "../../ffi/files.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The folder of all live VMs. */
export function runRoot(): string {
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  return runtime ? `${runtime}/hvsh` : `/tmp/hvsh-${Deno.uid()}`;
}

/** The paths of one VM. */
export class RunDirectory {
  /** The VM's name. */
  readonly name: string;
  /** Its folder. */
  readonly path: string;

  /**
   * @param name The VM's name
   * @throws {VmError} If it is no name
   */
  constructor(name: string) {
    if (!NAME.test(name)) {
      throw new VmError(`"${name}" is not a VM's name`, {
        hint: "a name is of letters, digits and . _ -, at most 64",
      });
    }
    this.name = name;
    this.path = `${runRoot()}/${name}`;
  }

  get control(): string {
    return `${this.path}/control`;
  }
  get config(): string {
    return `${this.path}/config.json`;
  }
  get consoleLog(): string {
    return `${this.path}/console.log`;
  }
  get events(): string {
    return `${this.path}/events.log`;
  }
  get exit(): string {
    return `${this.path}/exit`;
  }
  get #lock(): string {
    return `${this.path}/lock`;
  }

  /**
   * Takes the name for this process, over what a dead owner may have left.
   *
   * @returns The claim; dispose it to give the name back
   * @throws {VmError} If a live VM has the name
   */
  claim(): Claim {
    makePrivate(runRoot());
    for (;;) {
      makePrivate(this.path);
      const fd = this.#openLock();
      if (!tryLock(fd)) {
        closeFile(fd);
        throw new VmError(`There is a live VM named "${this.name}" already`, {
          hint: `hvsh kill ${this.name}, or choose another name with -n`,
        });
      }
      // Its last owner may have removed the folder between the open and the lock.
      if (exists(this.#lock)) {
        const { control, exit, consoleLog, events } = this;
        for (const leftover of [control, exit, consoleLog, events]) remove(leftover);
        return new Claim(this, fd);
      }
      closeFile(fd);
    }
  }

  #openLock(): number {
    try {
      return openFile(this.#lock, OpenFlag.RDWR | OpenFlag.CREAT);
    } catch (error) {
      try {
        Deno.removeSync(this.path);
      } catch {
        // It is not empty, or somebody else has removed it: not ours to care for.
      }
      throw error;
    }
  }

  /** Whether its owner lives. */
  get live(): boolean {
    return this.#ifDead(() => {}) === false;
  }

  /** Removes what an owner left that was killed: nobody will ever ask for it. */
  sweep(): void {
    this.#ifDead(() => {
      if (!exists(this.exit)) this.remove();
    });
  }

  /** Does something under the lock if no owner has it; false if one has, undefined if it is gone. */
  #ifDead(work: () => void): boolean | undefined {
    let fd: number;
    try {
      fd = openFile(this.#lock, OpenFlag.RDWR);
    } catch (error) {
      if (error instanceof HostError) return undefined;
      throw error;
    }
    try {
      if (!tryLock(fd)) return false;
      work();
      return true;
    } finally {
      closeFile(fd);
    }
  }

  /** Removes the folder, the files in it by their names first: to list it would take a descriptor. */
  remove(): void {
    for (const path of [this.control, this.config, this.exit, this.consoleLog, this.#lock]) {
      remove(path);
    }
    try {
      Deno.removeSync(this.path);
    } catch {
      remove(this.path);
    }
  }
}

/** A name that this process has. */
export class Claim implements Disposable {
  /** The folder. */
  readonly directory: RunDirectory;
  readonly #lock: number;

  /**
   * @param directory The folder
   * @param lock The locked descriptor
   */
  constructor(directory: RunDirectory, lock: number) {
    this.directory = directory;
    this.#lock = lock;
  }

  /** Gives the name back but leaves the files, for `wait` to find how the VM ended. */
  release(): void {
    remove(this.directory.control);
    closeFile(this.#lock);
  }

  [Symbol.dispose](): void {
    this.directory.remove();
    closeFile(this.#lock);
  }
}

/**
 * Finds VMs.
 *
 * @param options `ended` includes those that ended and that nobody has waited for
 * @returns Their folders, by name
 */
export function findVms(options: { ended?: boolean } = {}): RunDirectory[] {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(runRoot())];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const directories = entries
    .filter(({ isDirectory, name }) => isDirectory && NAME.test(name))
    .map(({ name }) => new RunDirectory(name));
  for (const directory of directories) directory.sweep();
  return directories
    .filter((directory) => directory.live || (options.ended === true && exists(directory.exit)))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * Finds one VM.
 *
 * @param name Its name
 * @param options `ended` accepts one that has ended
 * @returns Its folder
 * @throws {VmError} If there is none of that name
 */
export function findVm(name: string, options: { ended?: boolean } = {}): RunDirectory {
  const directory = new RunDirectory(name);
  if (directory.live || (options.ended === true && exists(directory.exit))) return directory;
  const near = nearestWord(name, findVms().map((vm) => vm.name));
  throw new VmError(`There is no live VM named "${name}"`, {
    hint: near === undefined ? "`hvsh list` shows them" : `did you mean ${near}?`,
  });
}

function makePrivate(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o700, recursive: false });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new VmError(`${path}: its parent folder is not there`, {
        hint: "set XDG_RUNTIME_DIR to a folder of your own",
      });
    }
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // /tmp is everybody's: a folder that somebody else made there is not to be trusted.
    const { uid, isDirectory, mode } = Deno.lstatSync(path);
    if (!isDirectory || uid !== Deno.uid() || ((mode ?? 0) & 0o077) !== 0) {
      throw new VmError(`${path}: it is not a folder of yours with mode 700`, {
        hint: `remove it, or set XDG_RUNTIME_DIR to a folder of your own`,
      });
    }
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
