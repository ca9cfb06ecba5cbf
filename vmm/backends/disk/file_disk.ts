/**
 * A disk in a plain file or on a block device. It is never mapped into memory: where the file ends
 * early, a request fails, and nothing else does.
 *
 * @module
 */
import { Fallocate } from "../../../ffi/disk_file.ts";
import { Errno } from "../../../ffi/errno.ts";
import type { IoLoop } from "../../io_loop.ts";
import { type DiskBackend, type DiskClient, MOST_REQUESTS } from "./backend.ts";
import { FileIo } from "./file_io.ts";
import type { IovecTable } from "./iovec_table.ts";
import type { DiskEngine } from "./kernel_io.ts";

/** An image that was opened: plain data. */
export interface OpenedFile {
  readonly kind: "file";
  /** The descriptor. */
  readonly fd: number;
  /** The same file with O_DIRECT, for requests that are aligned to that. */
  readonly direct?: { readonly fd: number; readonly memory: number; readonly offset: number };
}

/** What a request is for, where that matters when a call has ended. */
const Step = { NONE: 0, DISCARD: 1, PUNCH: 2, ZERO_RANGE: 3 } as const;

/** A disk in a file. */
export class FileDisk implements DiskBackend {
  readonly #file: OpenedFile;
  readonly #iovecs: IovecTable;
  readonly #client: DiskClient;
  readonly #io: FileIo;
  readonly #step = new Uint8Array(MOST_REQUESTS);
  readonly #offset = new Float64Array(MOST_REQUESTS);
  readonly #length = new Float64Array(MOST_REQUESTS);

  /**
   * @param file The image
   * @param engine How to call the kernel
   * @param loop The I/O thread's
   * @param iovecs The requests' memory
   * @param client Who asks
   */
  constructor(
    file: OpenedFile,
    engine: DiskEngine,
    loop: IoLoop,
    iovecs: IovecTable,
    client: DiskClient,
  ) {
    this.#file = file;
    this.#iovecs = iovecs;
    this.#client = client;
    this.#io = new FileIo(engine, loop, iovecs, {
      finished: (tag, errno) => this.#finished(tag, errno),
      settled: () => client.settled(),
    });
  }

  get engine(): DiskEngine {
    return this.#io.engine;
  }

  read(tag: number, offset: number, length: number): void {
    this.#io.read(tag, this.#fdFor(tag, offset, length), offset, 0, length);
  }

  write(tag: number, offset: number, length: number): void {
    this.#io.write(tag, this.#fdFor(tag, offset, length), offset, 0, length);
  }

  flush(tag: number): void {
    this.#io.sync(tag, this.#file.fd);
  }

  discard(tag: number, offset: number, length: number): void {
    this.#allocate(Step.DISCARD, tag, offset, length);
  }

  writeZeroes(tag: number, offset: number, length: number, unmap: boolean): void {
    this.#allocate(unmap ? Step.PUNCH : Step.ZERO_RANGE, tag, offset, length);
  }

  submit(): void {
    this.#io.submit();
  }

  cancel(): void {
    this.#io.cancel();
  }

  close(): void {
    this.#io.close();
  }

  /** What isn't aligned as O_DIRECT wants it goes through the page cache, which the kernel keeps coherent. */
  #fdFor(tag: number, offset: number, length: number): number {
    const { fd, direct } = this.#file;
    if (direct === undefined) return fd;
    const mask = direct.offset - 1;
    // Offsets reach beyond 32 bits, their low half decides.
    if (((offset | length) & mask) !== 0) return fd;
    return this.#iovecs.aligned(tag, Math.max(direct.memory, direct.offset) - 1) ? direct.fd : fd;
  }

  #allocate(step: number, tag: number, offset: number, length: number): void {
    this.#step[tag] = step;
    this.#offset[tag] = offset;
    this.#length[tag] = length;
    const mode = step === Step.ZERO_RANGE ? Fallocate.ZERO_RANGE : Fallocate.PUNCH_HOLE;
    this.#io.fallocate(tag, this.#file.fd, mode | Fallocate.KEEP_SIZE, offset, length);
  }

  #finished(tag: number, errno: number): void {
    const step = this.#step[tag]!;
    this.#step[tag] = Step.NONE;
    if (step === Step.NONE || (errno !== Errno.ENOTSUP && errno !== Errno.ENOSYS)) {
      this.#client.done(tag, errno);
    } else if (step === Step.DISCARD) {
      this.#client.done(tag, 0); // only a hint: the data may as well stay
    } else if (step === Step.PUNCH) {
      this.#allocate(Step.ZERO_RANGE, tag, this.#offset[tag]!, this.#length[tag]!);
    } else {
      this.#io.zero(tag, this.#file.fd, this.#offset[tag]!, this.#length[tag]!);
    }
  }
}
