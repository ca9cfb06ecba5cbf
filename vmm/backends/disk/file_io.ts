/**
 * Whole reads and writes of files: what one system call leaves undone, the next one does.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import { Errno } from "../../../ffi/errno.ts";
import type { IoLoop } from "../../io_loop.ts";
import { MOST_REQUESTS } from "./backend.ts";
import { type IovecTable, MOST_IOVECS } from "./iovec_table.ts";
import { type DiskEngine, type KernelIo, openKernelIo } from "./kernel_io.ts";

/** Bytes of one call at most, so that a reset in the middle of I/O need not wait for much. */
const MOST_PIECE = 2 ** 22;
const ZERO_BYTES = 2 ** 16;
/** How often a call may say "again". */
const MOST_RETRIES = 100;

const Kind = { NONE: 0, READ: 1, WRITE: 2, ZERO: 3, SYNC: 4, FALLOCATE: 5 } as const;

/** Who hears of ends. */
export interface FileIoClient {
  /** What was begun has ended: 0 or an errno. May come from within the call that began it. */
  finished(tag: number, errno: number): void;
  /** After `finished`s that came from the loop. */
  settled(): void;
}

/** Operations on files, at most one a tag at a time. */
export class FileIo {
  readonly #kernel: KernelIo;
  readonly #iovecs: IovecTable;
  readonly #client: FileIoClient;
  readonly #kind = new Uint8Array(MOST_REQUESTS);
  readonly #cancelled = new Uint8Array(MOST_REQUESTS);
  readonly #retries = new Uint8Array(MOST_REQUESTS);
  readonly #fd = new Int32Array(MOST_REQUESTS);
  /** Where in the file and in the tag's vectors it goes on, and how much is left. */
  readonly #offset = new Float64Array(MOST_REQUESTS);
  readonly #skip = new Float64Array(MOST_REQUESTS);
  readonly #left = new Float64Array(MOST_REQUESTS);
  #zeros: { readonly bytes: Uint8Array<ArrayBuffer>; readonly address: number } | undefined;

  /**
   * @param engine How to call the kernel
   * @param loop The I/O thread's
   * @param iovecs The requests' memory
   * @param client Who hears of ends
   */
  constructor(engine: DiskEngine, loop: IoLoop, iovecs: IovecTable, client: FileIoClient) {
    this.#iovecs = iovecs;
    this.#client = client;
    this.#kernel = openKernelIo(engine, loop, {
      completed: (tag, result) => this.#completed(tag, result),
      settled: () => client.settled(),
    });
  }

  /** What makes the calls. */
  get engine(): DiskEngine {
    return this.#kernel.engine;
  }

  /**
   * Reads; what lies past the file's end is an EIO.
   *
   * @param tag The request
   * @param fd The file
   * @param offset Where in it
   * @param skip Bytes of the tag's vectors to leave out
   * @param length Bytes, above 0
   */
  read(tag: number, fd: number, offset: number, skip: number, length: number): void {
    this.#begin(Kind.READ, tag, fd, offset, skip, length);
  }

  /** Writes; parameters as {@linkcode read} has them. */
  write(tag: number, fd: number, offset: number, skip: number, length: number): void {
    this.#begin(Kind.WRITE, tag, fd, offset, skip, length);
  }

  /** Writes zeros. */
  zero(tag: number, fd: number, offset: number, length: number): void {
    this.#begin(Kind.ZERO, tag, fd, offset, 0, length);
  }

  /** Makes durable what was written before. */
  sync(tag: number, fd: number): void {
    this.#kind[tag] = Kind.SYNC;
    this.#kernel.sync(tag, fd);
  }

  /** Calls fallocate(2). */
  fallocate(tag: number, fd: number, mode: number, offset: number, length: number): void {
    this.#kind[tag] = Kind.FALLOCATE;
    this.#kernel.fallocate(tag, fd, mode, offset, length);
  }

  /** Hands over what waits. */
  submit(): void {
    this.#kernel.submit();
  }

  /** Gives up what can be given up; the rest ends as it would. */
  cancel(): void {
    for (let tag = 0; tag < MOST_REQUESTS; tag++) {
      if (this.#kind[tag] === Kind.NONE) continue;
      this.#cancelled[tag] = 1;
      this.#kernel.cancel(tag);
    }
    this.#kernel.submit();
  }

  /** Waits for what is under way, and frees the rest. */
  close(): void {
    this.cancel();
    this.#kernel.close();
  }

  #begin(
    kind: number,
    tag: number,
    fd: number,
    offset: number,
    skip: number,
    length: number,
  ): void {
    this.#kind[tag] = kind;
    this.#cancelled[tag] = 0;
    this.#retries[tag] = 0;
    this.#fd[tag] = fd;
    this.#offset[tag] = offset;
    this.#skip[tag] = skip;
    this.#left[tag] = length;
    this.#next(tag);
  }

  #next(tag: number): void {
    const kind = this.#kind[tag]!;
    const fd = this.#fd[tag]!;
    const offset = this.#offset[tag]!;
    const skip = this.#skip[tag]!;
    const left = this.#left[tag]!;
    const iovecs = this.#iovecs;
    if (kind === Kind.ZERO) {
      const { address } = this.#zeros ??= zeros();
      const length = Math.min(left, MOST_PIECE, MOST_IOVECS * ZERO_BYTES);
      const count = iovecs.repeat(tag, address, ZERO_BYTES, length);
      this.#kernel.write(tag, fd, iovecs.partAddress(tag), count, offset);
      return;
    }
    let address = iovecs.address(tag);
    let count = iovecs.counts[tag]!;
    if (left !== iovecs.lengths[tag] || left > MOST_PIECE) {
      address = iovecs.partAddress(tag);
      count = iovecs.part(tag, skip, Math.min(left, MOST_PIECE));
    }
    if (kind === Kind.READ) this.#kernel.read(tag, fd, address, count, offset);
    else this.#kernel.write(tag, fd, address, count, offset);
  }

  #completed(tag: number, result: number): void {
    const kind = this.#kind[tag]!;
    if (kind === Kind.SYNC || kind === Kind.FALLOCATE) {
      this.#finish(tag, -result);
    } else if (result > 0) {
      this.#offset[tag]! += result;
      this.#skip[tag]! += result;
      this.#left[tag]! -= result;
      if (this.#left[tag] === 0) this.#finish(tag, 0);
      else this.#goOn(tag);
    } else if (result === -Errno.EINTR || result === -Errno.EAGAIN) {
      if (++this.#retries[tag]! > MOST_RETRIES) this.#finish(tag, Errno.EIO);
      else this.#goOn(tag);
    } else {
      // Nothing read is the end of a file that was cut off under the disk.
      this.#finish(tag, result === 0 ? Errno.EIO : -result);
    }
  }

  #goOn(tag: number): void {
    if (this.#cancelled[tag] === 1) this.#finish(tag, Errno.ECANCELED);
    else this.#next(tag);
  }

  #finish(tag: number, errno: number): void {
    this.#kind[tag] = Kind.NONE;
    this.#client.finished(tag, errno);
  }
}

function zeros(): { bytes: Uint8Array<ArrayBuffer>; address: number } {
  const bytes = new Uint8Array(ZERO_BYTES);
  return { bytes, address: addressOf(bytes) };
}
