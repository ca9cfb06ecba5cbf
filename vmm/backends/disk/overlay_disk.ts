/**
 * A disk that is copied on write: reads come from the base until a cluster is written, which is then
 * in the overlay.
 *
 * What makes a cluster the overlay's is done at once, by the I/O thread itself: nothing can come
 * between copying a cluster and writing to it. All else is asynchronous.
 *
 * @module
 */
import { copyRange, Fallocate } from "../../../ffi/disk_file.ts";
import { Errno } from "../../../ffi/errno.ts";
import { errno as lastErrno, libc } from "../../../ffi/libc.ts";
import type { IoLoop } from "../../io_loop.ts";
import { type DiskBackend, type DiskClient, MOST_REQUESTS } from "./backend.ts";
import { FileIo } from "./file_io.ts";
import type { IovecTable } from "./iovec_table.ts";
import type { DiskEngine } from "./kernel_io.ts";
import { CLUSTER, dataOffset } from "./overlay_format.ts";
import { OverlayMap } from "./overlay_map.ts";

/** An overlay and its base that were opened: plain data. */
export interface OpenedOverlay {
  readonly kind: "overlay";
  /** The overlay's descriptor. */
  readonly fd: number;
  /** The base's. */
  readonly base: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Whether it stays when the VM is gone. */
  readonly kept: boolean;
}

/** What a request waits for: its data, a flush of which it is the first, or somebody else's. */
const Step = { NONE: 0, READ: 1, WRITE: 2, DATA: 3, BITMAP: 4, FOLLOW: 5, WAIT: 6 } as const;

/** A disk in an overlay. */
export class OverlayDisk implements DiskBackend {
  readonly #file: OpenedOverlay;
  readonly #client: DiskClient;
  readonly #iovecs: IovecTable;
  readonly #io: FileIo;
  readonly #map: OverlayMap;
  readonly #data: number;
  readonly #step = new Uint8Array(MOST_REQUESTS);
  readonly #offset = new Float64Array(MOST_REQUESTS);
  readonly #position = new Float64Array(MOST_REQUESTS);
  readonly #run = new Float64Array(MOST_REQUESTS);
  #flushing = false;

  /**
   * @param file The overlay and its base
   * @param engine How to call the kernel
   * @param loop The I/O thread's
   * @param iovecs The requests' memory
   * @param client Who asks
   */
  constructor(
    file: OpenedOverlay,
    engine: DiskEngine,
    loop: IoLoop,
    iovecs: IovecTable,
    client: DiskClient,
  ) {
    this.#file = file;
    this.#client = client;
    this.#iovecs = iovecs;
    this.#data = dataOffset(file.size);
    this.#map = new OverlayMap(file.fd, file.size, file.kept);
    this.#io = new FileIo(engine, loop, iovecs, {
      finished: (tag, errno) => this.#finished(tag, errno),
      settled: () => client.settled(),
    });
  }

  get engine(): DiskEngine {
    return this.#io.engine;
  }

  read(tag: number, offset: number, _length: number): void {
    this.#step[tag] = Step.READ;
    this.#offset[tag] = offset;
    this.#position[tag] = 0;
    this.#readRun(tag);
  }

  write(tag: number, offset: number, length: number): void {
    const errno = this.#copyEdges(offset, length);
    if (errno !== 0) return this.#client.done(tag, errno);
    this.#step[tag] = Step.WRITE;
    this.#offset[tag] = offset;
    if (this.#ownsAll(offset, length)) {
      this.#io.write(tag, this.#file.fd, this.#data + offset, 0, length);
    } else {
      this.#end(tag, this.#writeNow(tag, offset, length));
    }
  }

  flush(tag: number): void {
    if (!this.#file.kept) return this.#client.done(tag, 0);
    this.#step[tag] = Step.WAIT;
    if (!this.#flushing) this.#startFlush(tag);
  }

  /** A cluster that the overlay has not keeps the base's contents; the others lose their storage. */
  discard(tag: number, offset: number, length: number): void {
    let errno = 0;
    for (let done = 0; done < length && errno === 0;) {
      const run = this.#map.run(offset + done, length - done);
      if (this.#map.has(Math.floor((offset + done) / CLUSTER))) {
        errno = this.#punch(offset + done, run);
      }
      done += run;
    }
    this.#client.done(tag, errno === Errno.ENOTSUP ? 0 : errno);
  }

  writeZeroes(tag: number, offset: number, length: number, _unmap: boolean): void {
    let errno = this.#copyEdges(offset, length);
    if (errno === 0) errno = this.#punch(offset, length);
    if (errno === 0) this.#own(offset, length);
    this.#client.done(tag, errno);
  }

  submit(): void {
    this.#io.submit();
  }

  cancel(): void {
    this.#io.cancel();
  }

  /** What can't be written stays for the next flush to tell of. */
  settle(): void {
    if (!this.#file.kept || !this.#map.stale) return;
    this.#map.take();
    const stored = libc.fdatasync(this.#file.fd) === 0 && this.#map.store() === 0 &&
      libc.fdatasync(this.#file.fd) === 0;
    if (!stored) this.#map.putBack();
  }

  /** Nobody is left to tell: what can't be written is as lost as at a power cut. */
  close(): void {
    this.#io.close();
    this.settle();
  }

  #readRun(tag: number): void {
    const position = this.#position[tag]!;
    const offset = this.#offset[tag]! + position;
    const run = this.#map.run(offset, this.#iovecs.lengths[tag]! - position);
    this.#run[tag] = run;
    if (this.#map.has(Math.floor(offset / CLUSTER))) {
      this.#io.read(tag, this.#file.fd, this.#data + offset, position, run);
    } else {
      this.#io.read(tag, this.#file.base, offset, position, run);
    }
  }

  /** Copies the clusters that a range covers only in part, if the overlay lacks them. */
  #copyEdges(offset: number, length: number): number {
    const end = offset + length;
    const first = Math.floor(offset / CLUSTER);
    const last = Math.floor((end - 1) / CLUSTER);
    if (offset % CLUSTER !== 0) {
      const errno = this.#copy(first);
      if (errno !== 0) return errno;
    }
    // The disk's last cluster may be shorter than a cluster.
    return end % CLUSTER === 0 || end === this.#file.size ? 0 : this.#copy(last);
  }

  #copy(cluster: number): number {
    if (this.#map.has(cluster)) return 0;
    const offset = cluster * CLUSTER;
    const { base, fd, size } = this.#file;
    const errno = copyRange(
      base,
      offset,
      fd,
      this.#data + offset,
      Math.min(CLUSTER, size - offset),
    );
    if (errno === 0) this.#map.add(cluster);
    return errno;
  }

  #ownsAll(offset: number, length: number): boolean {
    const first = Math.floor(offset / CLUSTER);
    return this.#map.has(first) && this.#map.run(offset, length) === length;
  }

  #own(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / CLUSTER);
    for (let cluster = Math.floor(offset / CLUSTER); cluster <= last; cluster++) {
      if (!this.#map.has(cluster)) this.#map.add(cluster);
    }
  }

  #writeNow(tag: number, offset: number, length: number): number {
    for (let done = 0; done < length;) {
      const count = this.#iovecs.part(tag, done, length - done);
      const address = BigInt(this.#iovecs.partAddress(tag));
      const at = BigInt(this.#data + offset + done);
      const written = libc.pwritev(this.#file.fd, address, count, at);
      if (written >= 0) {
        done += written;
      } else {
        const errno = lastErrno();
        if (errno !== Errno.EINTR) return errno;
      }
    }
    this.#own(offset, length);
    return 0;
  }

  #punch(offset: number, length: number): number {
    const mode = Fallocate.PUNCH_HOLE | Fallocate.KEEP_SIZE;
    const at = BigInt(this.#data + offset);
    return libc.fallocate(this.#file.fd, mode, at, BigInt(length)) === 0 ? 0 : lastErrno();
  }

  #startFlush(tag: number): void {
    this.#flushing = true;
    this.#step[tag] = Step.DATA;
    this.#map.take();
    this.#io.sync(tag, this.#file.fd);
  }

  #finished(tag: number, errno: number): void {
    switch (this.#step[tag]) {
      case Step.READ: {
        const position = this.#position[tag]! + this.#run[tag]!;
        this.#position[tag] = position;
        if (errno !== 0 || position === this.#iovecs.lengths[tag]) this.#end(tag, errno);
        else this.#readRun(tag);
        break;
      }
      case Step.DATA: {
        const failure = errno === 0 ? this.#map.store() : errno;
        if (failure === 0 && this.#map.hasTaken) {
          this.#step[tag] = Step.BITMAP;
          this.#io.sync(tag, this.#file.fd);
        } else {
          this.#endFlush(tag, failure);
        }
        break;
      }
      case Step.BITMAP:
        this.#endFlush(tag, errno);
        break;
      default:
        this.#end(tag, errno);
    }
  }

  /** Flushes that came meanwhile share one more, since they may have to cover later writes. */
  #endFlush(tag: number, errno: number): void {
    if (errno !== 0) this.#map.putBack();
    this.#end(tag, errno);
    this.#endAll(Step.FOLLOW, errno);
    this.#flushing = false;
    const next = this.#step.indexOf(Step.WAIT);
    if (next < 0) return;
    for (let i = next + 1; i < MOST_REQUESTS; i++) {
      if (this.#step[i] === Step.WAIT) this.#step[i] = Step.FOLLOW;
    }
    this.#startFlush(next);
  }

  #endAll(step: number, errno: number): void {
    for (let tag = 0; tag < MOST_REQUESTS; tag++) {
      if (this.#step[tag] === step) this.#end(tag, errno);
    }
  }

  #end(tag: number, errno: number): void {
    this.#step[tag] = Step.NONE;
    this.#client.done(tag, errno);
  }
}
