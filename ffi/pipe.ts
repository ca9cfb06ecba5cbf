/**
 * Pipes whose ends are descriptors of this process.
 *
 * @module
 */
import { closeFile } from "./files.ts";
import { check, libc } from "./libc.ts";

const O_CLOEXEC = 0o2000000;

/** A descriptor that is closed once, at the latest when it is disposed of. */
export class OwnedDescriptor implements Disposable {
  #fd: number;

  /** @param fd The descriptor, which is this object's from here on */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Its number; -1 once it is closed. */
  get fd(): number {
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeFile(fd);
  }
}

/** The two ends of a pipe. */
export interface PipeEnds extends Disposable {
  readonly reader: OwnedDescriptor;
  readonly writer: OwnedDescriptor;
}

/**
 * Makes a pipe; its ends are closed on exec.
 *
 * @throws {HostError} If the process has no descriptor left
 */
export function makePipe(): PipeEnds {
  const fds = new Int32Array(2);
  check(libc.pipe2(fds, O_CLOEXEC), "pipe2");
  const reader = new OwnedDescriptor(fds[0]!);
  const writer = new OwnedDescriptor(fds[1]!);
  return {
    reader,
    writer,
    [Symbol.dispose]() {
      reader[Symbol.dispose]();
      writer[Symbol.dispose]();
    },
  };
}
