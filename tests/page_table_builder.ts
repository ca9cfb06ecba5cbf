/**
 * Page tables made for tests: a small guest memory, and mappings written into it as an operating system
 * would.
 *
 * @module
 */
import { OwnMemory } from "../vmm/debug/physical_memory.ts";
import type { PagingMode, PagingRegisters } from "../vmm/debug/page_walk.ts";
import { GuestMemory } from "../vmm/guest_memory.ts";

const CR0_PG = 1n << 31n;
const CR4_PSE_PAE = { PSE: 1n << 4n, PAE: 1n << 5n, LA57: 1n << 12n };
const LMA_NXE = 0xc00n;

/** The shifts of each mode's levels, from the highest. */
const SHIFTS = {
  "32-bit": [22, 12],
  "PAE": [30, 21, 12],
  "4-level": [39, 30, 21, 12],
  "5-level": [48, 39, 30, 21, 12],
} as const;

/** A mode with tables. */
export type TableMode = Exclude<PagingMode, "none">;

/** What a mapping is to permit. */
export interface Rights {
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

/** Sizes of pages that a mode has. */
export const PAGE_SIZES: Readonly<Record<TableMode, readonly number[]>> = {
  "32-bit": [2 ** 12, 2 ** 22],
  "PAE": [2 ** 12, 2 ** 21],
  "4-level": [2 ** 12, 2 ** 21, 2 ** 30],
  "5-level": [2 ** 12, 2 ** 21, 2 ** 30],
};

/** A guest with page tables. */
export class PageTableBuilder {
  /** Its memory: tables from 0 on. */
  readonly memory: OwnMemory;
  readonly guest: GuestMemory;
  readonly #mode: TableMode;
  #next = 0x1000;

  constructor(mode: TableMode, size = 2 ** 20) {
    this.#mode = mode;
    this.guest = new GuestMemory([{ base: 0, buffer: new ArrayBuffer(size), ram: true }]);
    this.memory = new OwnMemory(this.guest);
    this.#table();
  }

  /** What the CPU is set to. */
  get registers(): PagingRegisters {
    const { PSE, PAE, LA57 } = CR4_PSE_PAE;
    const cr4 = { "32-bit": PSE, "PAE": PAE, "4-level": PAE, "5-level": PAE | LA57 }[this.#mode];
    return {
      cr0: CR0_PG,
      cr3: 0x1000n,
      cr4,
      efer: this.#mode === "32-bit" || this.#mode === "PAE" ? LMA_NXE & ~0x400n : LMA_NXE,
    };
  }

  /** Maps a page; false if something is there already. */
  map(linear: bigint, physical: number, size: number, rights: Rights): boolean {
    const shifts = SHIFTS[this.#mode];
    const leaf = shifts.findIndex((shift) => 2 ** shift === size);
    let table = 0x1000;
    for (const [level, shift] of shifts.entries()) {
      const bits = this.#mode === "32-bit" ? 10n : this.#mode === "PAE" && level === 0 ? 2n : 9n;
      const index = Number((linear >> BigInt(shift)) & ((1n << bits) - 1n));
      const at = table + index * (this.#mode === "32-bit" ? 4 : 8);
      const old = this.#read(at);
      if (level === leaf) {
        if ((old & 1n) !== 0n) return false;
        this.#write(at, this.#page(physical, shift, rights));
        return true;
      }
      if ((old & 1n) === 0n) {
        const low = this.#mode === "PAE" && level === 0 ? 1n : 7n; // PDPTEs have no rights
        this.#write(at, BigInt(this.#table()) | low);
      } else if (shift !== 12 && shift !== 39 && shift !== 48 && (old & 0x80n) !== 0n) return false;
      table = Number(this.#read(at) & 0xf_ffff_ffff_f000n);
    }
    return false;
  }

  /** Writes an entry as it is. */
  set(address: number, value: bigint): void {
    this.#write(address, value);
  }

  #page(physical: number, shift: number, { writable, user, executable }: Rights): bigint {
    const ps = shift === 12 ? 0n : 0x80n;
    const nx = executable || this.#mode === "32-bit" ? 0n : 1n << 63n;
    const address = this.#mode === "32-bit" && shift === 22
      ? (BigInt(physical) & 0xffc0_0000n) | (BigInt(physical) >> 32n) << 13n // PSE-36
      : BigInt(physical);
    return address | 1n | (writable ? 2n : 0n) | (user ? 4n : 0n) | ps | nx;
  }

  #table(): number {
    const at = this.#next;
    this.#next += 0x1000;
    return at;
  }

  #read(at: number): bigint {
    const view = this.guest.view(at, 8);
    return this.#mode === "32-bit" ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
  }

  #write(at: number, value: bigint): void {
    const view = this.guest.view(at, 8);
    if (this.#mode === "32-bit") view.setUint32(0, Number(value & 0xffff_ffffn), true);
    else view.setBigUint64(0, value, true);
  }
}
