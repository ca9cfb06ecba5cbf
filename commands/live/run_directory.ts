/**
 * Where live VMs are found: a folder for each, with a lock that its owner holds as long as it lives.
 * Who only looks takes no lock, and whoever makes or removes a folder's files holds another one for
 * that moment, so that no look and no sweep is ever taken for a live owner.
 *
 *     $XDG_RUNTIME_DIR/hvsh/NAME/       or /tmp/hvsh-UID/NAME/, mode 700
 *       lock                            byte 0 locked by the owner, as long as it lives; byte 1 for moments
 *       control                         JSON-RPC 2.0
 *       config.json                     the document
 *       status                          how it is, a line a key
 *       console.log                     what a detached VM's console said
 *       events.log                      what happened to it
 *       exit                            how it ended, until `wait` takes it
 *
 * @module
 */
import { HostError, VmError } from "../../ffi/errors.ts";
import { Errno } from "../../ffi/errno.ts";
import { hasName, isByteLocked, lockByte, tryLockByte, unlockByte } from "../../ffi/file_lock.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Bytes of the lock file. */
const Lock = { OWNER: 0, FILES: 1 } as const;

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
  get status(): string {
    return `${this.path}/status`;
  }
  get exit(): string {
    return `${this.path}/exit`;
  }
  /** What an owner writes beside the document, and the word of its VM's end. */
  get #files(): string[] {
    const { control, status, consoleLog, events } = this;
    return [control, status, ...bothHalves(consoleLog), ...bothHalves(events)];
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
      const fd = this.#openLock(OpenFlag.CREAT);
      if (fd === undefined) continue; // a sweep has removed the folder just now
      try {
        if (this.#claimBy(fd)) return new Claim(this, fd);
      } catch (error) {
        closeFile(fd);
        throw error;
      }
      closeFile(fd);
    }
  }

  /** False if what was opened is a lock file that somebody has removed meanwhile. */
  #claimBy(fd: number): boolean {
    lockByte(fd, Lock.FILES);
    try {
      if (!hasName(fd)) return false;
      if (!tryLockByte(fd, Lock.OWNER)) throw this.#taken();
      for (const leftover of [this.exit, ...this.#files]) remove(leftover);
      return true;
    } finally {
      unlockByte(fd, Lock.FILES);
    }
  }

  /**
   * Looks that no live VM has the name.
   *
   * @throws {VmError} If one has
   */
  requireFree(): void {
    if (this.live) throw this.#taken();
  }

  #taken(): VmError {
    return new VmError(`There is a live VM named "${this.name}" already`, {
      hint: `hvsh kill ${this.name}, or choose another name with -n`,
    });
  }

  /** Opens the lock file; undefined if it is not there, or not to be opened by who only looks. */
  #openLock(flags = 0): number | undefined {
    try {
      return openFile(this.#lock, OpenFlag.RDWR | flags);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (flags === 0 || error.errno === Errno.ENOENT) return undefined;
      this.#removeEmpty();
      throw error;
    }
  }

  #removeEmpty(): void {
    try {
      Deno.removeSync(this.path);
    } catch {
      // It is not empty, or somebody else has removed it: not ours to care for.
    }
  }

  /** Whether its owner lives. */
  get live(): boolean {
    const fd = this.#openLock();
    if (fd === undefined) return false;
    try {
      return isByteLocked(fd, Lock.OWNER);
    } finally {
      closeFile(fd);
    }
  }

  /** Whether its owner lives; removes what one left that was killed: nobody will ever ask for it. */
  sweep(): boolean {
    const fd = this.#openLock();
    if (fd === undefined) {
      this.#removeEmpty();
      return false;
    }
    try {
      if (isByteLocked(fd, Lock.OWNER)) return true;
      if (statusIfThere(this.exit) !== undefined) return false;
      lockByte(fd, Lock.FILES);
      if (isByteLocked(fd, Lock.OWNER)) return true; // it has just been claimed
      if (hasName(fd)) this.remove();
      return false;
    } finally {
      closeFile(fd);
    }
  }

  /**
   * Takes the word that an owner has left of its VM's end, and removes what else it left.
   *
   * @returns What it wrote; undefined if there is no word
   */
  takeExit(): string | undefined {
    const fd = this.#openLock();
    if (fd === undefined) return undefined;
    try {
      lockByte(fd, Lock.FILES);
      if (!hasName(fd)) return undefined; // somebody else has taken it
      const text = readIfThere(this.exit);
      if (text === undefined) return undefined;
      lockByte(fd, Lock.OWNER); // it has said its last word, and is about to let go
      this.remove();
      return text;
    } finally {
      closeFile(fd);
    }
  }

  /**
   * Removes the folder. The lock's name goes when nothing else is there: from then on whoever takes
   * the VM's name makes a new one, which is not to be touched.
   */
  remove(): void {
    for (const path of [this.config, this.exit, ...this.#files]) remove(path);
    try {
      for (const { name } of Deno.readDirSync(this.path)) {
        if (`${this.path}/${name}` !== this.#lock) remove(`${this.path}/${name}`);
      }
    } catch {
      // There is no descriptor left to list it, or it is gone.
    }
    remove(this.#lock);
    this.#removeEmpty();
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
    remove(this.directory.status);
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
  return directories
    .filter((vm) => vm.sweep() || (options.ended === true && statusIfThere(vm.exit) !== undefined))
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
  if (directory.live || (options.ended === true && statusIfThere(directory.exit) !== undefined)) {
    return directory;
  }
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
    const status = statusIfThere(path);
    if (status === undefined) return makePrivate(path); // a sweep has removed it just now
    const { uid, isDirectory, mode } = status;
    if (!isDirectory || uid !== Deno.uid() || ((mode ?? 0) & 0o077) !== 0) {
      throw new VmError(`${path}: it is not a folder of yours with mode 700`, {
        hint: `remove it, or set XDG_RUNTIME_DIR to a folder of your own`,
      });
    }
  }
}

/** A bounded log and its older half. */
function bothHalves(path: string): [string, string] {
  return [path, `${path}.old`];
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function statusIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
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
