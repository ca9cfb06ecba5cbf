/**
 * The port and memory buses of one thread: which device answers an access, under that device's
 * lock, in pieces that the device can take. What nobody answers reads as all ones.
 *
 * @module
 */
import { DocumentError } from "../ffi/errors.ts";
import type { IoRange, Width } from "./device.ts";
import { deviceFailure } from "./device_failure.ts";
import { lockDevice, unlockDevice } from "./device_lock.ts";

const PORTS = 0x1_0000;
/** Ports are looked up by a byte each: 0 is nobody. */
const MAX_PORT_RANGES = 255;

/** A range with who answers it. */
export interface BusEntry {
  /** First port or address. */
  readonly base: number;
  /** The one behind the last. */
  readonly end: number;
  /** What answers, and how wide an access it takes. */
  readonly range: Pick<IoRange, "maxWidth" | "handler" | "priority">;
  /** Index of the device's lock. */
  readonly lock: number;
  /** The device's name. */
  readonly owner: string;
}

/** Who answers what no fixed range does: PCI, whose BARs move. */
export interface BusRouter {
  /** Who answers at an address just now. */
  findMemory(address: number): BusEntry | undefined;
  /** Who answers at a port just now. */
  findPort(port: number): BusEntry | undefined;
}

/**
 * Looks accesses up and carries them out. Nothing on the way of an access allocates, and no array is
 * read outside its bounds, which V8 has no quick way for.
 */
export class Bus {
  readonly #words: Int32Array;
  readonly #portIndex = new Uint8Array(PORTS);
  readonly #portEntries: BusEntry[] = [];
  #memory: BusEntry[] = [];
  #last: BusEntry | undefined;
  #router: BusRouter | undefined;

  /**
   * @param words The arena as words, for the locks
   */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /**
   * Attaches a device's ranges.
   *
   * @param owner The device's name, for messages
   * @param lock Index of the device's lock
   * @param ranges What it answers
   * @throws {DocumentError} If a range is taken already or lies outside its space
   */
  attach(owner: string, lock: number, ranges: readonly IoRange[]): void {
    for (const range of ranges) {
      const entry = { base: range.base, end: range.base + range.size, range, lock, owner };
      if (range.space === "pio") this.#attachPort(entry);
      else this.#attachMemory(entry);
    }
  }

  /**
   * Takes a device's ranges away, if it has some.
   *
   * @param owner The device's name
   */
  detach(owner: string): void {
    this.#memory = this.#memory.filter((entry) => entry.owner !== owner);
    this.#last = undefined;
    const ports = this.#portEntries.splice(0);
    this.#portIndex.fill(0);
    for (const entry of ports) if (entry.owner !== owner) this.#attachPort(entry);
  }

  /**
   * Has what no fixed range answers looked up elsewhere.
   *
   * @param router Who knows
   */
  route(router: BusRouter): void {
    this.#router = router;
  }

  #attachPort(entry: BusEntry): void {
    if (entry.base < 0 || entry.end > PORTS || this.#portEntries.length === MAX_PORT_RANGES) {
      throw new DocumentError(`Device ${entry.owner} wants ports ${span(entry)}: there are none`);
    }
    const own = entry.range.priority ?? 0;
    const free: number[] = [];
    for (let port = entry.base; port < entry.end; port++) {
      const other = this.#portEntries[this.#portIndex[port]! - 1];
      const taken = other === undefined ? -Infinity : other.range.priority ?? 0;
      if (taken === own) refuse("ports", entry, other!);
      if (taken < own) free.push(port);
    }
    const index = this.#portEntries.push(entry);
    for (const port of free) this.#portIndex[port] = index;
  }

  #attachMemory(entry: BusEntry): void {
    const other = this.#memory.find((e) => e.base < entry.end && entry.base < e.end);
    if (other !== undefined) refuse("addresses", entry, other);
    this.#memory = [...this.#memory, entry].sort((a, b) => a.base - b.base);
  }

  /**
   * A read from a port.
   *
   * @param port 0 to 0xffff
   * @param width 1, 2 or 4
   * @returns The value; all ones where nobody answers
   */
  readPort(port: number, width: Width): number {
    const index = this.#portIndex[port]!;
    const entry = index === 0 ? this.#router?.findPort(port) : this.#portEntries[index - 1];
    if (entry === undefined) {
      if (width === 1) return 0xff;
    } else if (width <= entry.range.maxWidth && port + width <= entry.end) {
      return this.#read(entry, port - entry.base, width);
    }
    const half = (width >> 1) as Width;
    const next = (port + half) & (PORTS - 1);
    return (this.readPort(port, half) | (this.readPort(next, half) << (8 * half))) >>> 0;
  }

  /**
   * A write to a port.
   *
   * @param port 0 to 0xffff
   * @param width 1, 2 or 4
   * @param value An unsigned number of that width
   */
  writePort(port: number, width: Width, value: number): void {
    const index = this.#portIndex[port]!;
    const entry = index === 0 ? this.#router?.findPort(port) : this.#portEntries[index - 1];
    if (entry === undefined) {
      if (width === 1) return;
    } else if (width <= entry.range.maxWidth && port + width <= entry.end) {
      this.#write(entry, port - entry.base, width, value);
      return;
    }
    const half = (width >> 1) as Width;
    this.writePort(port, half, value & (half === 1 ? 0xff : 0xffff));
    this.writePort((port + half) & (PORTS - 1), half, value >>> (8 * half));
  }

  /**
   * A read from an address that is not memory.
   *
   * @param address Guest-physical address
   * @param width 1, 2 or 4; a wider access is several of these
   * @returns The value; all ones where nobody answers
   */
  readMemory(address: number, width: Width): number {
    const entry = this.#find(address);
    if (entry === undefined) {
      if (width === 1) return 0xff;
    } else if (width <= entry.range.maxWidth && address + width <= entry.end) {
      return this.#read(entry, address - entry.base, width);
    }
    const half = (width >> 1) as Width;
    return (this.readMemory(address, half) |
      (this.readMemory(address + half, half) << (8 * half))) >>> 0;
  }

  /**
   * A write to an address that is not memory.
   *
   * @param address Guest-physical address
   * @param width 1, 2 or 4; a wider access is several of these
   * @param value An unsigned number of that width
   */
  writeMemory(address: number, width: Width, value: number): void {
    const entry = this.#find(address);
    if (entry === undefined) {
      if (width === 1) return;
    } else if (width <= entry.range.maxWidth && address + width <= entry.end) {
      this.#write(entry, address - entry.base, width, value);
      return;
    }
    const half = (width >> 1) as Width;
    this.writeMemory(address, half, value & (half === 1 ? 0xff : 0xffff));
    this.writeMemory(address + half, half, value >>> (8 * half));
  }

  /**
   * Whose a port is.
   *
   * @param port 0 to 0xffff
   * @returns Index of the lock of the device that answers there; 0 where nobody does
   */
  portOwner(port: number): number {
    const index = this.#portIndex[port]!;
    const entry = index === 0 ? this.#router?.findPort(port) : this.#portEntries[index - 1];
    return entry === undefined ? 0 : entry.lock;
  }

  /**
   * Whose an address is that is not memory.
   *
   * @param address Guest-physical address
   * @returns Index of the lock of the device that answers there; 0 where nobody does
   */
  memoryOwner(address: number): number {
    return this.#find(address)?.lock ?? 0;
  }

  #read(entry: BusEntry, offset: number, width: Width): number {
    lockDevice(this.#words, entry.lock);
    try {
      const value = entry.range.handler.read(offset, width);
      // Bits beyond the width would show in what a split access reads from another device.
      return width === 4 ? value >>> 0 : value & (width === 1 ? 0xff : 0xffff);
    } catch (error) {
      throw deviceFailure(entry.owner, error);
    } finally {
      unlockDevice(this.#words, entry.lock);
    }
  }

  #write(entry: BusEntry, offset: number, width: Width, value: number): void {
    lockDevice(this.#words, entry.lock);
    try {
      entry.range.handler.write(offset, width, value);
    } catch (error) {
      throw deviceFailure(entry.owner, error);
    } finally {
      unlockDevice(this.#words, entry.lock);
    }
  }

  #find(address: number): BusEntry | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    let low = 0;
    let high = this.#memory.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#memory[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    if (low < this.#memory.length && address >= this.#memory[low]!.base) {
      this.#last = this.#memory[low];
      return this.#last;
    }
    return this.#router?.findMemory(address);
  }
}

function span(entry: BusEntry): string {
  return `0x${entry.base.toString(16)}-0x${(entry.end - 1).toString(16)}`;
}

function refuse(what: string, entry: BusEntry, other: BusEntry): never {
  throw new DocumentError(
    `Device ${entry.owner} wants ${what} ${span(entry)}: ${other.owner} has ${span(other)}`,
  );
}
