/**
 * What is on a machine's disks, for a stream that has it inside: images, and overlays merged into theirs. The
 * machine must be frozen as long as it is read.
 *
 * @module
 */
import { readAll } from "../../ffi/disk_file.ts";
import { HostError, VmError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { errno, libc } from "../../ffi/libc.ts";
import type { Json } from "../../ffi/struct.ts";
import { CLUSTER, dataOffset } from "../backends/disk/overlay_format.ts";
import { OverlayMap } from "../backends/disk/overlay_map.ts";
import { type Backing, changedBacking, fileBacking } from "../backing.ts";
import type { DeviceEntry } from "../document.ts";
import { diskRecord } from "./record_names.ts";
import type { StreamWriter } from "./stream_writer.ts";
import { isZero } from "./zeros.ts";

/** Bytes of a record, whole clusters. */
const CHUNK = 2 ** 18;
/** What {@linkcode isZero} takes is whole pages. */
const PAGE = 4096;
const SEEK_DATA = 3;
const ENXIO = 6;

/** A disk whose content is in a stream, as its first record tells of it. */
export interface SavedDisk {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/** A piece of a disk that has something in it. */
export interface DiskPiece {
  /** Bytes from the disk's start. */
  readonly offset: number;
  /** They stay until the next piece is asked for. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What is on one disk. */
export class DiskContent implements SavedDisk, Disposable {
  readonly name: string;
  readonly size: number;
  readonly #path: string;
  readonly #base: number;
  readonly #overlay: { readonly fd: number; readonly map: OverlayMap } | undefined;
  readonly #files: DisposableStack;
  readonly #chunk = new Uint8Array(CHUNK);

  /**
   * @param entry The disk's entry in the document
   * @param backing What the machine has behind it, as its record says; whatever is there if left out
   * @throws {VmError} If it is on a server, or its files are not what the machine has open
   * @throws {HostError} If they can't be read
   */
  constructor({ name = "disk", path, overlay, nbd }: DeviceEntry, backing?: Json) {
    if (typeof path !== "string" || nbd !== undefined) {
      throw new VmError(`${name}: it is on an NBD server, and not to be had by its files`, {
        hint: "hvsh snapshot without --disks",
      });
    }
    this.name = name;
    this.#path = path;
    using files = new DisposableStack();
    const open = (path: string) => {
      const fd = openFile(path, OpenFlag.RDONLY | OpenFlag.NONBLOCK);
      files.defer(() => closeFile(fd));
      return fd;
    };
    this.#base = open(path);
    const kept = typeof overlay === "string" ? open(overlay) : undefined;
    const there: Backing[] = [fileBacking(this.#base, path)];
    if (kept !== undefined) there.push(fileBacking(kept, overlay as string));
    const changed = backing === undefined ? undefined : changedBacking(backing, there);
    if (changed !== undefined) {
      throw new VmError(`${name}: ${changed.path} is not what the VM has open: ${changed.why}`);
    }
    this.size = there[0]!.size as number;
    this.#overlay = kept === undefined
      ? undefined
      : { fd: kept, map: new OverlayMap(kept, this.size, true) };
    this.#files = files.move();
  }

  /** Its pieces that have something in them, in order. */
  *pieces(): Generator<DiskPiece> {
    for (let offset = this.#dataFrom(0); offset < this.size;) {
      const length = Math.min(CHUNK, this.size - offset);
      const padded = Math.ceil(length / PAGE) * PAGE;
      this.#chunk.fill(0, length, padded);
      this.#read(offset, length);
      const bytes = this.#chunk.subarray(0, length);
      if (!isZero(this.#chunk.subarray(0, padded))) yield { offset, bytes };
      offset = this.#dataFrom(offset + length);
    }
  }

  /** Where the next chunk begins that may have something in it. */
  #dataFrom(offset: number): number {
    // What of an overlay's image is a hole may be in the overlay.
    if (this.#overlay !== undefined || offset >= this.size) return offset;
    const data = libc.lseek(this.#base, BigInt(offset), SEEK_DATA);
    if (data < 0n) return errno() === ENXIO ? this.size : offset; // no more; or not to be known
    return Math.floor(Number(data) / CHUNK) * CHUNK;
  }

  #read(offset: number, length: number): void {
    for (let done = 0; done < length;) {
      const at = offset + done;
      const run = this.#overlay?.map.run(at, length - done) ?? length;
      const bytes = this.#chunk.subarray(done, done + run);
      const over = this.#overlay?.map.has(Math.floor(at / CLUSTER)) === true;
      const count = over
        ? readAll(this.#overlay!.fd, bytes, dataOffset(this.size) + at)
        : readAll(this.#base, bytes, at);
      if (count < 0) throw new HostError("pread", -count, { path: this.#path });
      bytes.fill(0, count); // behind a file's end
      done += run;
    }
  }

  [Symbol.dispose](): void {
    this.#files.dispose();
  }
}

/**
 * Writes disks' records; what is zero is left out.
 *
 * @param writer The stream
 * @param disks The disks
 */
export async function writeDisks(
  writer: StreamWriter,
  disks: readonly DiskContent[],
): Promise<void> {
  for (const disk of disks) {
    for (const { offset, bytes } of disk.pieces()) {
      await writer.record(diskRecord(disk.name, offset), bytes);
      await writer.flush(); // the next piece has the same place
    }
  }
}
