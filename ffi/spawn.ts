/**
 * Programs with any descriptors of this process as theirs, and how they end (posix_spawn(3),
 * waitpid(2)). Deno's own child processes can be given pipes to this process only.
 *
 * @module
 */
import { addressOf } from "./address_of.ts";
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { duplicate } from "./files.ts";
import { check, cString, errno, libc } from "./libc.ts";
import { OwnedDescriptor } from "./pipe.ts";

/** Room for posix_spawn_file_actions_t and posix_spawnattr_t: 80 and 336 bytes with glibc. */
const OPAQUE_BYTES = 512;
/** `sigset_t` of glibc and musl. */
const SIGSET_BYTES = 128;
/** spawn.h */
const SpawnFlag = { SETPGROUP: 2, SETSIGDEF: 4, SETSIGMASK: 8 } as const;
/** What a shell or Deno ignores and a program must not: INT QUIT PIPE TSTP TTIN TTOU XFSZ. */
const DEFAULTED = [2, 3, 13, 20, 21, 22, 25];
const WNOHANG = 1;
const WUNTRACED = 2;
/** How often to look at children without being told: a signal keeps no event loop alive, a timer does. */
const LOOK_MILLISECONDS = 1000;

/** What to start. */
export interface SpawnOptions {
  /** The program's path. */
  readonly path: string;
  /** Its words, the first of them its own name. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Its folder. */
  readonly cwd: string;
  /** Its descriptors, and what of this process each of them is. */
  readonly descriptors: ReadonlyMap<number, number>;
  /** The process group it joins, 0 for one of its own; this process's if left out. */
  readonly group?: number;
}

/** How a program has changed: its end, or that a signal has stopped it. */
export type ChildChange =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "killed"; readonly signal: number }
  | { readonly kind: "stopped"; readonly signal: number };

/**
 * Starts a program.
 *
 * @param options What to start
 * @returns Its process id
 * @throws {HostError} If the host does not start it
 * @throws {TypeError} If a word holds a NUL
 */
export function spawn(options: SpawnOptions): number {
  const { path, argv, environment, cwd, descriptors, group } = options;
  const words = new StringArray(argv);
  const variables = new StringArray(
    Object.entries(environment).map(([name, value]) => `${name}=${value}`),
  );
  const folder = cString(cwd);
  using lifted = new DisposableStack();
  const above = (fd: number) => duplicate(fd, Math.max(...descriptors.keys()) + 1);
  const actions = new Uint8Array(OPAQUE_BYTES);
  const attributes = new Uint8Array(OPAQUE_BYTES);
  libc.posix_spawn_file_actions_init(actions);
  libc.posix_spawnattr_init(attributes);
  try {
    libc.posix_spawn_file_actions_addchdir_np(actions, folder);
    for (const [theirs, ours] of descriptors) {
      // One that another is copied over first would be gone.
      const source = descriptors.has(ours) ? lifted.use(new OwnedDescriptor(above(ours))).fd : ours;
      libc.posix_spawn_file_actions_adddup2(actions, source, theirs);
    }
    // The other descriptors of this process are closed on exec.
    for (const standard of [0, 1, 2]) {
      if (!descriptors.has(standard)) libc.posix_spawn_file_actions_addclose(actions, standard);
    }
    let flags = SpawnFlag.SETSIGDEF | SpawnFlag.SETSIGMASK;
    libc.posix_spawnattr_setsigdefault(attributes, signalSet(DEFAULTED));
    libc.posix_spawnattr_setsigmask(attributes, signalSet([]));
    if (group !== undefined) {
      flags |= SpawnFlag.SETPGROUP;
      libc.posix_spawnattr_setpgroup(attributes, group);
    }
    libc.posix_spawnattr_setflags(attributes, flags);
    const pid = new Int32Array(1);
    const file = cString(path);
    const code = libc.posix_spawn(
      pid,
      file,
      actions,
      attributes,
      words.pointers,
      variables.pointers,
    );
    if (code !== 0) throw new HostError("posix_spawn", code, { path });
    return pid[0]!;
  } finally {
    libc.posix_spawn_file_actions_destroy(actions);
    libc.posix_spawnattr_destroy(attributes);
  }
}

function signalSet(signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(SIGSET_BYTES);
  for (const signal of signals) set[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
  return set;
}

/** `char *const[]`: pointers into one buffer, which lives as long as this does. */
class StringArray {
  readonly pointers: BigUint64Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(texts: readonly string[]) {
    const strings = texts.map(cString);
    this.#bytes = new Uint8Array(strings.reduce((sum, { length }) => sum + length, 1));
    this.pointers = new BigUint64Array(strings.length + 1);
    const start = BigInt(addressOf(this.#bytes));
    let at = 0;
    for (const [i, string] of strings.entries()) {
      this.#bytes.set(string, at);
      this.pointers[i] = start + BigInt(at);
      at += string.length;
    }
  }
}

const children = new Map<number, (change: ChildChange) => void>();
let looking: ReturnType<typeof setInterval> | undefined;

/**
 * Watches a program that {@linkcode spawn} has started, until it has ended.
 *
 * @param pid Its process id
 * @param changed Called when it has stopped or ended
 */
export function watchChild(pid: number, changed: (change: ChildChange) => void): void {
  if (children.size === 0) {
    Deno.addSignalListener("SIGCHLD", lookAtChildren);
    looking = setInterval(lookAtChildren, LOOK_MILLISECONDS);
  }
  children.set(pid, changed);
  lookAt(pid); // it may have ended before anybody listened
}

function lookAtChildren(): void {
  for (const pid of [...children.keys()]) lookAt(pid);
}

function lookAt(pid: number): void {
  const status = new Int32Array(1);
  for (;;) {
    const result = libc.waitpid(pid, status, WNOHANG | WUNTRACED);
    if (result === 0) return;
    if (result < 0 && errno() === Errno.EINTR) continue;
    const change = result < 0 ? GONE : changeOf(status[0]!);
    const changed = children.get(pid);
    if (change.kind !== "stopped") {
      children.delete(pid);
      if (children.size === 0) {
        Deno.removeSignalListener("SIGCHLD", lookAtChildren);
        clearInterval(looking);
      }
    }
    changed?.(change);
    if (change.kind !== "stopped") return;
  }
}

/** Somebody else has waited for it. */
const GONE: ChildChange = { kind: "exited", status: 127 };

/** wait(2): WIFSTOPPED, WIFEXITED and WIFSIGNALED. */
function changeOf(status: number): ChildChange {
  const low = status & 0x7f;
  const high = (status >> 8) & 0xff;
  if ((status & 0xff) === 0x7f) return { kind: "stopped", signal: high };
  return low === 0 ? { kind: "exited", status: high } : { kind: "killed", signal: low };
}

/**
 * Sends a signal.
 *
 * @param pid A process, or a group as a negative number
 * @param signal The signal's number; 0 asks only whether it is there
 * @throws {HostError} If it cannot be sent
 */
export function sendSignal(pid: number, signal: number): void {
  check(libc.kill(pid, signal), "kill");
}
