/**
 * Streams over descriptors: pipes, sockets, files. They block, so they belong on a thread that has
 * nothing else to do.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { Epoll, EpollEvent } from "../../ffi/epoll.ts";
import { HostError } from "../../ffi/errors.ts";
import { IOV_MAX, Iovecs } from "../../ffi/iovecs.ts";
import { errno, libc } from "../../ffi/libc.ts";
import type { StreamSource } from "./load_stream.ts";
import type { StreamSink } from "./stream_writer.ts";

const F_SETPIPE_SZ = 1031;
/** As much as the kernel gives to everybody (/proc/sys/fs/pipe-max-size). */
const PIPE_BYTES = 2 ** 20;

/** Writes to a descriptor, which stays its owner's. */
export class DescriptorSink implements StreamSink {
  readonly #fd: number;
  readonly #path: string;
  readonly #iovecs = new Iovecs();

  /**
   * @param fd The descriptor
   * @param path What it is, for errors
   */
  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
    widenPipe(fd);
  }

  write(pieces: readonly Uint8Array[]): void {
    for (let at = 0; at < pieces.length; at += IOV_MAX) {
      this.#write(pieces.slice(at, at + IOV_MAX));
    }
  }

  #write(pieces: Uint8Array[]): void {
    let first = 0;
    let skip = 0;
    while (first < pieces.length) {
      for (let i = first; i < pieces.length; i++) {
        this.#iovecs.set(i - first, i === first ? pieces[i]!.subarray(skip) : pieces[i]!);
      }
      let put = this.#iovecs.write(this.#fd, pieces.length - first);
      if (put === -Errno.EAGAIN) {
        waitFor(this.#fd, EpollEvent.OUT);
        continue;
      }
      if (put < 0) throw new HostError("write", -put, { path: this.#path });
      put += skip;
      while (first < pieces.length && put >= pieces[first]!.length) {
        put -= pieces[first++]!.length;
      }
      skip = put;
    }
  }
}

/** Reads from a descriptor, which stays its owner's. */
export class DescriptorSource implements StreamSource {
  readonly #fd: number;
  readonly #path: string;

  /**
   * @param fd The descriptor
   * @param path What it is, for errors
   */
  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
    widenPipe(fd);
  }

  read(into: Uint8Array): number {
    for (;;) {
      const got = libc.read(this.#fd, into as Uint8Array<ArrayBuffer>, BigInt(into.length));
      if (got >= 0) return Number(got);
      const code = errno();
      if (code === Errno.EAGAIN) waitFor(this.#fd, EpollEvent.IN);
      else if (code !== Errno.EINTR) throw new HostError("read", code, { path: this.#path });
    }
  }
}

/** A pipe that holds more has its two ends wake each other more seldom; what is no pipe says no. */
function widenPipe(fd: number): void {
  libc.fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

/** Another process that shares a pipe may have set O_NONBLOCK on it. */
function waitFor(fd: number, events: number): void {
  using epoll = new Epoll(1);
  epoll.add(fd, events);
  epoll.wait(-1, () => {});
}
