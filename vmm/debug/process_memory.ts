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
import { Mapping } from "../../ffi/mapping.ts";
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
    const { fd, offset } = this.#place(piece, address - piece.base);
    for (let done = 0; done < target.length;) {
      const rest = target.subarray(done);
      const count = Number(libc.pread(fd, rest, BigInt(rest.length), offset + BigInt(done)));
      if (count > 0) done += count;
      else if (count < 0 && errno() === Errno.EINTR) continue;
      else if (count < 0) throw new HostError("pread", errno(), { path: this.#path(piece) });
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
    const { fd, offset } = this.#place(piece, address - piece.base);
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      const count = libc.pwrite(fd, rest, BigInt(rest.length), offset + BigInt(done));
      if (count >= 0) done += Number(count);
      else if (errno() === Errno.EINVAL && piece.file !== undefined) {
        writeMapped(fd, Number(offset) + done, rest); // huge pages take no write(2)
        return true;
      } else if (errno() !== Errno.EINTR) {
        throw new HostError("pwrite", errno(), { path: this.#path(piece) });
      }
    }
    return true;
  }

  /**
   * A piece of memory as this process has it mapped.
   *
   * @param base Where the piece starts
   * @returns The mapping, as long as this is not disposed of; undefined if no file is behind it
   */
  map(base: number): Mapping | undefined {
    const piece = this.pieces.find((other) => other.base === base);
    if (piece?.file === undefined) return undefined;
    const mapping = this.#mappings.get(base) ??
      new Mapping(this.#place(piece, 0).fd, piece.size, {
        writable: false,
        offset: piece.file.offset,
      });
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
        const found = piece.file === undefined
          ? { start: at, end: stop }
          : this.#data(piece, at, stop);
        if (found === undefined) break;
        yield found;
        at = found.end;
      }
    }
  }

  /** The next range of a file that is not a hole. */
  #data(piece: SlotRecord, at: number, stop: number): MemoryRange | undefined {
    const { fd, offset } = this.#place(piece, at - piece.base);
    const start = libc.lseek(fd, offset, SEEK_DATA);
    if (start < 0n) {
      if (errno() === Errno.ENXIO) return undefined;
      return { start: at, end: stop }; // a file system without holes
    }
    const hole = libc.lseek(fd, start, SEEK_HOLE);
    const from = at + Number(start - offset);
    const to = hole < 0n ? stop : Math.min(stop, at + Number(hole - offset));
    return from < to ? { start: from, end: to } : undefined;
  }

  /** The file of a piece, and where in it a byte lies. */
  #place(piece: SlotRecord, offset: number): { fd: number; offset: bigint } {
    const { file } = piece;
    const path = this.#path(piece);
    const fd = this.#files.get(path) ?? this.#open(path);
    return file === undefined
      ? { fd, offset: BigInt(piece.address) + BigInt(offset) }
      : { fd, offset: BigInt(file.offset + offset) };
  }

  #path({ file }: SlotRecord): string {
    return file === undefined ? `/proc/${this.#pid}/mem` : `/proc/${this.#pid}/fd/${file.fd}`;
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
