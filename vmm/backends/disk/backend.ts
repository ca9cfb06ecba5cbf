/**
 * What stands behind a disk: reads, writes and the rest by tag, each ended by one callback. All of it
 * on the I/O thread, with nothing allocated for a request.
 *
 * @module
 */
import type { IoLoop } from "../../io_loop.ts";
import type { IovecTable } from "./iovec_table.ts";

/** How many requests a disk has under way at most; tags are below it. */
export const MOST_REQUESTS = 256;

/** Who asks. */
export interface DiskClient {
  /**
   * A request has ended, and its tag is free. Called from within any call of the backend, the one
   * that began the request included, or from the I/O thread's loop.
   *
   * @param tag The request
   * @param errno 0, or why it failed
   */
  done(tag: number, errno: number): void;
  /** After `done`s that came from the loop: time to give them on, and to ask for more. */
  settled(): void;
  /** One line for whoever watches the VM, about the backend itself: a server gone. */
  failed(message: string): void;
}

/** A disk's storage. Ranges were checked against the capacity before. */
export interface DiskBackend {
  /** What does the work, for people: `io_uring`, `preadv`, `nbd`. */
  readonly engine: string;
  /** Reads into the tag's vectors, `length` bytes in all. */
  read(tag: number, offset: number, length: number): void;
  /** Writes from the tag's vectors. */
  write(tag: number, offset: number, length: number): void;
  /** Makes what was written before durable. */
  flush(tag: number): void;
  /** Says that a range's contents are no longer needed. */
  discard(tag: number, offset: number, length: number): void;
  /**
   * Has a range read as zeros.
   *
   * @param tag The request
   * @param offset Where, in bytes
   * @param length Bytes
   * @param unmap Whether its storage may be given back
   */
  writeZeroes(tag: number, offset: number, length: number, unmap: boolean): void;
  /** Starts what was asked for since the last time; a backend may have started it already. */
  submit(): void;
  /** Gives up what can be given up; each request still ends by a `done`, in bounded time. */
  cancel(): void;
  /** While no request is under way: has the storage hold what only this thread knows of it. */
  settle?(): void;
  /** Frees what was made on this thread. No request is under way any more when it returns. */
  close(): void;
}

/** Opens a backend on the I/O thread. */
export type OpenBackend = (loop: IoLoop, iovecs: IovecTable, client: DiskClient) => DiskBackend;
