/**
 * From linear to physical addresses as the MMU goes, by the guest's own page tables (SDM vol. 3, 4.1 to
 * 4.5): no paging, 32-bit, PAE, 4-level and 5-level. The tables are the guest's: each entry is read once,
 * a walk has at most five steps, and a table that is not in memory ends it.
 *
 * @module
 */
import type { PhysicalMemory } from "./physical_memory.ts";

/** The registers that say how addresses are translated. */
export interface PagingRegisters {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

/** How a CPU translates. */
export type PagingMode = "none" | "32-bit" | "PAE" | "4-level" | "5-level";

/** A table of the hierarchy, from the highest. */
export type PageTableLevel = "PML5" | "PML4" | "PDPT" | "PD" | "PT";

/** Where a linear address leads, and what may be done there; permissions are those of all levels together. */
export interface Translation {
  /** Guest-physical address. */
  readonly physical: number;
  /** Bytes of the page: 4 KiB, 2 MiB, 4 MiB or 1 GiB; 0 without paging. */
  readonly pageSize: number;
  readonly writable: boolean;
  /** Whether CPL 3 may. */
  readonly user: boolean;
  readonly executable: boolean;
  readonly global: boolean;
  readonly dirty: boolean;
}

/** Why a linear address leads nowhere. */
export interface WalkFailure {
  readonly reason: "not canonical" | "not present" | "reserved bit" | "table outside of memory";
  /** The level that ended the walk; left out where none was looked at. */
  readonly level?: PageTableLevel;
  /** The entry that ended it. */
  readonly entry?: bigint;
  /** Where that entry lies. */
  readonly entryAddress?: number;
}

/** A level of a mode: how far its index is shifted, and which of its entries may be a page. */
export interface WalkLevel {
  readonly name: PageTableLevel;
  /** Bits of the linear address below its index. */
  readonly shift: number;
  /** Entries of a table. */
  readonly entries: number;
  /** Whether PS (bit 7) makes an entry a page. */
  readonly large: boolean;
}

const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const CR4_LA57 = 1n << 12n;
const EFER_LMA = 1n << 10n;
const EFER_NXE = 1n << 11n;

/** Bits of an entry's low half. */
const Bit = { P: 1, RW: 2, US: 4, D: 0x40, PS: 0x80, G: 0x100 } as const;
const FOUR_GIB = 2 ** 32;

const PT: WalkLevel = { name: "PT", shift: 12, entries: 512, large: false };
const PD: WalkLevel = { name: "PD", shift: 21, entries: 512, large: true };
const PDPT: WalkLevel = { name: "PDPT", shift: 30, entries: 512, large: true };
const PML4: WalkLevel = { name: "PML4", shift: 39, entries: 512, large: false };
const PML5: WalkLevel = { name: "PML5", shift: 48, entries: 512, large: false };

/** What an entry says, as bits; permissions have the places that an x86 entry gives them. */
export const EntryBit = {
  PRESENT: 1,
  WRITABLE: 2,
  USER: 4,
  EXECUTABLE: 8,
  /** A page, not a table. */
  PAGE: 16,
  GLOBAL: 32,
  DIRTY: 64,
  /** A bit is set that must be 0. */
  RESERVED: 128,
} as const;

/** The permissions among them. */
export const RIGHTS = EntryBit.WRITABLE | EntryBit.USER | EntryBit.EXECUTABLE;

/** One address space of a guest. */
export class PageTables {
  /** How it translates. */
  readonly mode: PagingMode;
  /** Its levels from the highest; none without paging. */
  readonly levels: readonly WalkLevel[];
  /** Guest-physical address of its highest table. */
  readonly root: number;
  readonly #memory: PhysicalMemory;
  readonly #noExecute: boolean;
  readonly #bytes = new Uint8Array(8);
  readonly #view = new DataView(this.#bytes.buffer);

  /**
   * @param memory Where the tables lie
   * @param registers What the CPU is set to
   */
  constructor(memory: PhysicalMemory, registers: PagingRegisters) {
    this.#memory = memory;
    const { cr3, cr4, efer } = registers;
    this.mode = pagingMode(registers);
    const high = cr3 & 0xf_ffff_ffff_f000n;
    switch (this.mode) {
      case "none":
        this.levels = [];
        this.root = 0;
        break;
      case "32-bit":
        this.levels = [{ ...PD, shift: 22, entries: 1024, large: (cr4 & CR4_PSE) !== 0n }, {
          ...PT,
          entries: 1024,
        }];
        this.root = Number(cr3 & 0xffff_f000n);
        break;
      case "PAE":
        this.levels = [{ ...PDPT, entries: 4, large: false }, PD, PT];
        this.root = Number(cr3 & 0xffff_ffe0n);
        break;
      case "4-level":
        this.levels = [PML4, PDPT, PD, PT];
        this.root = Number(high);
        break;
      case "5-level":
        this.levels = [PML5, PML4, PDPT, PD, PT];
        this.root = Number(high);
    }
    this.#noExecute = (efer & EFER_NXE) !== 0n && this.mode !== "32-bit";
  }

  /**
   * Walks to a linear address.
   *
   * @param linear The address; without long mode its low 32 bits count
   * @returns Where it leads, or why nowhere
   */
  translate(linear: bigint): Translation | WalkFailure {
    const long = this.mode === "4-level" || this.mode === "5-level";
    if (long && !isCanonical(linear, this.mode === "5-level" ? 57 : 48)) {
      return { reason: "not canonical" };
    }
    const address = long ? linear : linear & 0xffff_ffffn;
    if (this.levels.length === 0) {
      return {
        physical: Number(address),
        pageSize: 0,
        writable: true,
        user: true,
        executable: true,
        global: false,
        dirty: false,
      };
    }
    let table = this.root;
    let rights: number = RIGHTS;
    for (const level of this.levels) {
      const { shift, entries, name } = level;
      const index = Number((address >> BigInt(shift)) & BigInt(entries - 1));
      const entryAddress = table + index * this.entrySize;
      const bytes = this.entrySize === 4 ? this.#bytes.subarray(0, 4) : this.#bytes;
      if (!this.#memory.read(entryAddress, bytes)) {
        return { reason: "table outside of memory", level: name, entryAddress };
      }
      const low = this.#view.getUint32(0, true);
      const high = this.entrySize === 4 ? 0 : this.#view.getUint32(4, true);
      const flags = this.entryFlags(level, low, high);
      if ((flags & EntryBit.PRESENT) === 0 || (flags & EntryBit.RESERVED) !== 0) {
        const reason = (flags & EntryBit.PRESENT) === 0 ? "not present" : "reserved bit";
        const entry = BigInt(high) << 32n | BigInt(low);
        return { reason, level: name, entry, entryAddress };
      }
      rights &= flags;
      const leads = this.entryAddress(level, low, high, flags);
      if ((flags & EntryBit.PAGE) !== 0) {
        const pageSize = 2 ** shift;
        return {
          physical: leads + Number(address & BigInt(pageSize - 1)),
          pageSize,
          writable: (rights & EntryBit.WRITABLE) !== 0,
          user: (rights & EntryBit.USER) !== 0,
          executable: (rights & EntryBit.EXECUTABLE) !== 0,
          global: (flags & EntryBit.GLOBAL) !== 0,
          dirty: (flags & EntryBit.DIRTY) !== 0,
        };
      }
      table = leads;
    }
    throw new Error("The last level has pages only");
  }

  /** Bytes of an entry. */
  get entrySize(): number {
    return this.mode === "32-bit" ? 4 : 8;
  }

  /**
   * What an entry says.
   *
   * @param level Of a table of which level
   * @param low Its bits 31:0
   * @param high Its bits 63:32; 0 in 32-bit paging
   * @returns Bits of {@linkcode EntryBit}
   */
  entryFlags(level: WalkLevel, low: number, high: number): number {
    const page = level.name === "PT" || (level.large && (low & Bit.PS) !== 0);
    // PDPTEs of PAE paging have no permissions of their own (SDM vol. 3, table 4-8).
    const rights = this.mode === "PAE" && level.name === "PDPT"
      ? RIGHTS
      : (low & (Bit.RW | Bit.US)) |
        (this.#noExecute && high >>> 31 !== 0 ? 0 : EntryBit.EXECUTABLE);
    const reserved = (!page && this.mode !== "32-bit" && (low & Bit.PS) !== 0) ||
      (!this.#noExecute && high >>> 31 !== 0);
    return (low & Bit.P) | rights | (reserved ? EntryBit.RESERVED : 0) |
      (page ? EntryBit.PAGE : 0) |
      (page && (low & Bit.G) !== 0 ? EntryBit.GLOBAL : 0) |
      (page && (low & Bit.D) !== 0 ? EntryBit.DIRTY : 0);
  }

  /**
   * Where the page or table of an entry begins.
   *
   * @param level Of a table of which level
   * @param low The entry's bits 31:0
   * @param high Its bits 63:32; 0 in 32-bit paging
   * @param flags What {@linkcode PageTables.entryFlags} gave for it
   * @returns Guest-physical address
   */
  entryAddress({ shift }: WalkLevel, low: number, high: number, flags: number): number {
    const page = (flags & EntryBit.PAGE) !== 0;
    if (page && this.mode === "32-bit" && shift === 22) {
      // PSE-36: bits 39:32 of the page are in 20:13 (SDM vol. 3, table 4-4).
      return ((low >>> 13) & 0xff) * FOUR_GIB + ((low & 0xffc0_0000) >>> 0);
    }
    const all = (high & 0xf_ffff) * FOUR_GIB + ((low & 0xffff_f000) >>> 0);
    return page ? all - all % 2 ** shift : all;
  }
}

/**
 * How a CPU translates addresses.
 *
 * @param registers What it is set to
 * @returns Its mode (SDM vol. 3, 4.1.1)
 */
export function pagingMode({ cr0, cr4, efer }: PagingRegisters): PagingMode {
  if ((cr0 & CR0_PG) === 0n) return "none";
  if ((cr4 & CR4_PAE) === 0n) return "32-bit";
  if ((efer & EFER_LMA) === 0n) return "PAE";
  return (cr4 & CR4_LA57) === 0n ? "4-level" : "5-level";
}

function isCanonical(address: bigint, bits: number): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(bits, address)) === address;
}

/**
 * Says a failure in words.
 *
 * @param failure What {@linkcode PageTables.translate} gave
 * @returns `not present in the PD (entry 0x0 at 0x3008)`
 */
export function describeWalkFailure(failure: WalkFailure): string {
  const { reason, level, entry, entryAddress } = failure;
  if (level === undefined) return reason;
  const at = entryAddress === undefined ? "" : ` at 0x${entryAddress.toString(16)}`;
  const what = entry === undefined ? `entry${at}` : `entry 0x${entry.toString(16)}${at}`;
  return `${reason}, ${level} (${what})`;
}
