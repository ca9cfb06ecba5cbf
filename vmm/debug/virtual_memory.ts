/**
 * Guest memory by linear addresses: reading, writing, and what is mapped where.
 *
 * @module
 */
import { GuestError } from "../../ffi/errors.ts";
import {
  describeWalkFailure,
  EntryBit,
  PageTables,
  type PagingRegisters,
  RIGHTS,
  type Translation,
} from "./page_walk.ts";
import type { PhysicalMemory } from "./physical_memory.ts";

const PAGE = 4096;
/** Tables that are looked at for a map of an address space: 64 GiB of small pages. */
const MOST_TABLES = 32768;

/** A range that is mapped to one range of physical memory in one way. */
export interface VirtualRange {
  /** Linear address of its first byte. */
  readonly start: bigint;
  /** Bytes. */
  readonly size: number;
  /** Guest-physical address of its first byte. */
  readonly physical: number;
  /** Bytes of each page. */
  readonly pageSize: number;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

/** The same in numbers, exact to 2^65 since they are those of whole pages, and the rights as bits. */
interface Range {
  start: number;
  size: number;
  physical: number;
  pageSize: number;
  rights: number;
}

/** An address space of a guest. */
export class VirtualMemory {
  /** Its page tables. */
  readonly tables: PageTables;
  readonly #memory: PhysicalMemory;

  /**
   * @param memory Physical memory
   * @param registers What the CPU is set to whose addresses they are
   */
  constructor(memory: PhysicalMemory, registers: PagingRegisters) {
    this.#memory = memory;
    this.tables = new PageTables(memory, registers);
  }

  /**
   * Where a linear address leads.
   *
   * @param linear The address
   * @returns Physical address and permissions
   * @throws {GuestError} Saying which entry ended the walk
   */
  translate(linear: bigint): Translation {
    const found = this.tables.translate(linear);
    if ("physical" in found) return found;
    throw new GuestError(
      `Linear address 0x${linear.toString(16)} is not mapped: ${describeWalkFailure(found)}`,
    );
  }

  /**
   * Copies bytes out.
   *
   * @param linear Linear address
   * @param target Takes as many bytes as it has
   * @throws {GuestError} Naming the first address that leads nowhere
   */
  read(linear: bigint, target: Uint8Array<ArrayBuffer>): void {
    this.#pieces(linear, target, (physical, piece) => this.#memory.read(physical, piece));
  }

  /**
   * Copies as many bytes out as there are.
   *
   * @param linear Linear address
   * @param length Bytes at most
   * @returns The bytes before the first that leads nowhere
   */
  readSome(linear: bigint, length: number): Uint8Array<ArrayBuffer> {
    const target = new Uint8Array(length);
    let done = 0;
    try {
      this.#pieces(linear, target, (physical, piece) => {
        const there = this.#memory.read(physical, piece);
        if (there) done += piece.length;
        return there;
      });
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
    }
    return target.subarray(0, done);
  }

  /**
   * Copies bytes in, whatever the page tables permit.
   *
   * @param linear Linear address
   * @param bytes What to write
   * @throws {GuestError} Naming the first address that leads nowhere; nothing is written then
   */
  write(linear: bigint, bytes: Uint8Array<ArrayBuffer>): void {
    const found: [number, Uint8Array<ArrayBuffer>][] = [];
    const probe = new Uint8Array(1);
    this.#pieces(linear, bytes, (physical, piece) => {
      found.push([physical, piece]);
      return this.#memory.read(physical, probe) &&
        this.#memory.read(physical + piece.length - 1, probe);
    });
    for (const [physical, piece] of found) this.#memory.write(physical, piece);
  }

  #pieces(
    linear: bigint,
    bytes: Uint8Array<ArrayBuffer>,
    work: (physical: number, piece: Uint8Array<ArrayBuffer>) => boolean,
  ): void {
    for (let done = 0; done < bytes.length;) {
      const address = BigInt.asUintN(64, linear + BigInt(done));
      const { physical } = this.translate(address);
      const length = Math.min(PAGE - physical % PAGE, bytes.length - done);
      if (!work(physical, bytes.subarray(done, done + length))) {
        throw new GuestError(
          `Linear address 0x${address.toString(16)} leads to 0x${physical.toString(16)}, ` +
            "which is not memory",
        );
      }
      done += length;
    }
  }

  /**
   * All that is mapped, neighbours joined.
   *
   * @returns Ranges in ascending order of linear address
   * @throws {GuestError} If there are more tables than an honest guest has
   */
  *ranges(): Generator<VirtualRange> {
    const bits = this.tables.mode === "5-level" ? 57 : 48;
    const half = 2 ** (bits - 1); // where canonical addresses have their hole
    let last: Range | undefined;
    const finish = ({ start, size, physical, pageSize, rights }: Range): VirtualRange => ({
      start: BigInt.asUintN(64, BigInt.asIntN(bits, BigInt(start))),
      size,
      physical,
      pageSize,
      writable: (rights & EntryBit.WRITABLE) !== 0,
      user: (rights & EntryBit.USER) !== 0,
      executable: (rights & EntryBit.EXECUTABLE) !== 0,
    });
    for (const range of this.#pages()) {
      if (last !== undefined && range.start !== half && joins(last, range)) {
        last.size += range.size;
        continue;
      }
      if (last !== undefined) yield finish(last);
      last = { ...range };
    }
    if (last !== undefined) yield finish(last);
  }

  /** Every page, in one object. A table that many entries name is gone through for each, as it is. */
  *#pages(): Generator<Readonly<Range>> {
    const { tables } = this;
    const { levels, entrySize } = tables;
    const page: Range = { start: 0, size: 0, physical: 0, pageSize: 0, rights: 0 };
    let left = MOST_TABLES;
    const open = (depth: number, address: number, start: number, rights: number): Frame => {
      if (left-- === 0) throw new GuestError(`The guest has more than ${MOST_TABLES} page tables`);
      const bytes = new Uint8Array(levels[depth]!.entries * entrySize);
      const there = this.#memory.read(address, bytes);
      return {
        words: new Uint32Array(bytes.buffer),
        start,
        rights,
        next: there ? 0 : levels[depth]!.entries,
      };
    };
    const stack = levels.length === 0 ? [] : [open(0, tables.root, 0, RIGHTS)];
    while (stack.length > 0) {
      const depth = stack.length - 1;
      const level = levels[depth]!;
      const frame = stack[depth]!;
      const { words } = frame;
      let deeper = false;
      while (frame.next < level.entries && !deeper) {
        const index = frame.next++;
        const low = words[entrySize === 8 ? 2 * index : index]!;
        if ((low & EntryBit.PRESENT) === 0) continue;
        const high = entrySize === 8 ? words[2 * index + 1]! : 0;
        const flags = tables.entryFlags(level, low, high);
        if ((flags & EntryBit.RESERVED) !== 0) continue;
        const start = frame.start + index * 2 ** level.shift;
        const leads = tables.entryAddress(level, low, high, flags);
        const rights = frame.rights & flags;
        if ((flags & EntryBit.PAGE) === 0) {
          stack.push(open(depth + 1, leads, start, rights));
          deeper = true;
          continue;
        }
        page.start = start;
        page.size = page.pageSize = 2 ** level.shift;
        page.physical = leads;
        page.rights = rights;
        yield page;
      }
      if (!deeper) stack.pop();
    }
  }
}

/** A table that is being gone through. */
interface Frame {
  readonly words: Uint32Array;
  /** Linear address of its first entry. */
  readonly start: number;
  /** What the levels above permit. */
  readonly rights: number;
  next: number;
}

function joins(last: Range, next: Readonly<Range>): boolean {
  return last.start + last.size === next.start && last.physical + last.size === next.physical &&
    last.pageSize === next.pageSize && last.rights === next.rights;
}
