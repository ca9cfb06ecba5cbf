/**
 * Guest-physical memory of a machine that another process of the same user owns: by the files behind it,
 * which /proc opens for others, or where that process has pages of its own by /proc/PID/mem.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError, VmError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { isSealed, Mapping } from "../../ffi/mapping.ts";
import type { MemorySlot } from "../memory_slot.ts";
import { hideTraps, type TrapByte } from "./code_patches.ts";
import {
  findPiece,
  type MemoryPiece,
  type MemoryRange,
  type PhysicalMemory,
} from "./physical_memory.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** What a mapping of a file of huge pages has to be a multiple of. */
const HUGE_PAGE = 2 ** 21;
/** What is mapped at once to be written. */
const WINDOW = 64 * 2 ** 20;

/** A slot as JSON: where it lies in the owner, and the file that others can open. */
export interface SlotRecord extends MemoryPiece {
  readonly readonly: boolean;
  /** Host-virtual address, `"0x…"`. */
  readonly address: string;
  readonly file?: MemorySlot["file"];
  readonly shared?: MemorySlot["shared"];
}

/**
 * Slots as another process is told of them.
 *
 * @param slots The machine's
 */
export function slotRecords(slots: readonly MemorySlot[]): SlotRecord[] {
  return slots.map((slot) => ({ ...slot, address: `0x${slot.address.toString(16)}` }));
}

/** A file that is open here. */
interface OpenedFile {
  readonly fd: number;
  /** Where in it the piece starts. */
  readonly offset: number;
  readonly path: string;
}

/** Memory of a machine of a process. */
export class ProcessMemory implements PhysicalMemory, Disposable {
  readonly pieces: readonly SlotRecord[];
  readonly #pid: number;
  readonly #traps: readonly TrapByte[];
  /** What was written, for the process to be told. */
  #written: [address: number, length: number][] = [];
  /** Open files by their names in /proc/PID. */
  readonly #files = new Map<string, number>();
  readonly #mappings = new Map<number, Mapping>();

  /**
   * @param pid The process
   * @param slots The machine's memory, as {@linkcode slotRecords} has it
   * @param traps What a debugger has put into the guest's code, which is not shown
   */
  constructor(pid: number, slots: readonly SlotRecord[], traps: readonly TrapByte[] = []) {
    this.#pid = pid;
    this.#traps = traps;
    this.pieces = slots;
  }

  read(address: number, target: Uint8Array<ArrayBuffer>): boolean {
    const there = this.#copy(address, target);
    if (this.#traps.length > 0) hideTraps(this.#traps, address, target);
    return there;
  }

  #copy(address: number, target: Uint8Array<ArrayBuffer>): boolean {
    const piece = this.pieces[findPiece(this.pieces, address, target.length)];
    if (piece === undefined) return false;
    const { fd, offset, path } = this.#place(piece, address - piece.base);
    for (let done = 0; done < target.length;) {
      const rest = target.subarray(done);
      const count = Number(libc.pread(fd, rest, BigInt(rest.length), offset + BigInt(done)));
      if (count > 0) done += count;
      else if (count < 0 && errno() === Errno.EINTR) continue;
      else if (count < 0) throw new HostError("pread", errno(), { path });
      else {
        // The last page of a file that ends within it reads as zeros where it is mapped.
        rest.fill(0);
        return true;
      }
    }
    return true;
  }

  write(address: number, bytes: Uint8Array<ArrayBuffer>): boolean {
    const piece = this.pieces[findPiece(this.pieces, address, bytes.length)];
    if (piece === undefined) return false;
    const last = this.#written.at(-1);
    if (last !== undefined && last[0] + last[1] === address) last[1] += bytes.length;
    else this.#written.push([address, bytes.length]);
    const { fd, offset, path } = this.#place(piece, address - piece.base);
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      const count = libc.pwrite(fd, rest, BigInt(rest.length), offset + BigInt(done));
      if (count >= 0) done += Number(count);
      else if (errno() === Errno.EINVAL && piece.file !== undefined) {
        writeMapped(fd, Number(offset) + done, rest); // huge pages take no write(2)
        return true;
      } else if (errno() !== Errno.EINTR) {
        throw new HostError("pwrite", errno(), { path });
      }
    }
    return true;
  }

  /**
   * A piece of memory as this process has it mapped.
   *
   * @param base Where the piece starts
   * @returns The mapping, as long as this is not disposed of; undefined if no file is behind it, or no more
   */
  map(base: number): Mapping | undefined {
    const piece = this.pieces.find((other) => other.base === base);
    const file = piece && this.#fileOf(piece);
    if (file === undefined) return undefined;
    const mapping = this.#mappings.get(base) ??
      new Mapping(file.fd, piece!.size, { writable: false, offset: file.offset });
    this.#mappings.set(base, mapping);
    return mapping;
  }

  /** What was written since this was asked last: guest-physical addresses and lengths. */
  takeWritten(): [address: number, length: number][] {
    const written = this.#written;
    this.#written = [];
    return written;
  }

  *written(address: number, end: number): Generator<MemoryRange> {
    for (const piece of this.pieces) {
      const { base, size } = piece;
      const stop = Math.min(base + size, end);
      let at = Math.max(base, address);
      while (at < stop) {
        const file = this.#fileOf(piece);
        const found = file === undefined
          ? { start: at, end: stop }
          : data(file, piece.base, at, stop);
        if (found === undefined) break;
        yield found;
        at = found.end;
      }
    }
  }

  /** Where a byte of a piece lies: in its file, or in the memory of its process. */
  #place(piece: SlotRecord, offset: number): { fd: number; offset: bigint; path: string } {
    const file = this.#fileOf(piece);
    if (file !== undefined) return { ...file, offset: BigInt(file.offset + offset) };
    const path = `/proc/${this.#pid}/mem`;
    return { fd: this.#opened(path), offset: BigInt(piece.address) + BigInt(offset), path };
  }

  /** The file of a piece: none where the process has pages of its own, as one that was forked has since. */
  #fileOf({ file }: SlotRecord): OpenedFile | undefined {
    if (file === undefined) return undefined;
    const path = `/proc/${this.#pid}/fd/${file.fd}`;
    const fd = this.#opened(path);
    return isSealed(fd) ? undefined : { fd, offset: file.offset, path };
  }

  #opened(path: string): number {
    return this.#files.get(path) ?? this.#open(path);
  }

  #open(path: string): number {
    try {
      const fd = openFile(path, OpenFlag.RDWR);
      this.#files.set(path, fd);
      return fd;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (error.errno === Errno.ENOENT) throw new VmError("The VM's process has ended meanwhile");
      throw new HostError(error.syscall, error.errno, {
        path,
        cause: error,
        hint: "the VM's process must be yours; sysctl kernel.yama.ptrace_scope may forbid it too",
      });
    }
  }

  [Symbol.dispose](): void {
    for (const mapping of this.#mappings.values()) mapping[Symbol.dispose]();
    this.#mappings.clear();
    for (const fd of this.#files.values()) closeFile(fd);
    this.#files.clear();
  }
}

/** The next range of a file that is not a hole, as addresses of the piece that it has. */
function data(file: OpenedFile, base: number, at: number, stop: number): MemoryRange | undefined {
  const offset = BigInt(file.offset + at - base);
  const start = libc.lseek(file.fd, offset, SEEK_DATA);
  if (start < 0n) {
    if (errno() === Errno.ENXIO) return undefined;
    return { start: at, end: stop }; // a file system without holes
  }
  const hole = libc.lseek(file.fd, start, SEEK_HOLE);
  const from = at + Number(start - offset);
  const to = hole < 0n ? stop : Math.min(stop, at + Number(hole - offset));
  return from < to ? { start: from, end: to } : undefined;
}

/** Writes a file as the guest does, through a mapping. */
function writeMapped(fd: number, offset: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (let done = 0; done < bytes.length;) {
    const at = offset + done;
    const start = at - at % HUGE_PAGE;
    const length = Math.min(WINDOW - (at - start), bytes.length - done);
    const size = Math.ceil((at - start + length) / HUGE_PAGE) * HUGE_PAGE;
    using mapping = new Mapping(fd, size, { offset: start });
    new Uint8Array(mapping.buffer, at - start, length).set(bytes.subarray(done, done + length));
    done += length;
  }
}
