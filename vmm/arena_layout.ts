/**
 * Where each device's place in the arena is: one after the other, with spare room behind them for
 * devices that come while the machine runs. A place is
 *
 *     lock word and flags, registers, what the PCI bus keeps, output ring
 *
 * each part on a cache line of its own. Only the main thread gives places out.
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";
import { Arena, type DeviceSlice, placesStart, RING_BYTES, SLICE_HEADER } from "./arena.ts";

const CACHE_LINE = 64;
/** Room for devices to come: some fifty of them. Pages that nobody touches take no memory. */
const SPARE = 2 ** 22;

/** What a device needs of the arena. */
export interface DeviceNeeds {
  /** Bytes of registers. */
  readonly state: number;
  /** Bytes of what the PCI bus keeps of it; 0 if it is not on it. */
  readonly pci: number;
}

/** A part of the arena, `end` not included. */
interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Gives out places in one VM's arena. */
export class ArenaLayout {
  /** The VM's shared state. */
  readonly arena: Arena;
  /** Places of the devices that were there from the start, in order. */
  readonly slices: readonly DeviceSlice[];
  #free: Extent[];
  /** Nobody has had what lies behind this: it is zero, and takes no memory as long as nobody writes there. */
  #used: number;

  /**
   * @param cpus How many vCPUs
   * @param devices What each device needs, in order
   * @param growing Whether devices may come later
   */
  constructor(cpus: number, devices: readonly DeviceNeeds[], growing: boolean) {
    const start = align(placesStart(cpus));
    const used = devices.reduce((sum, needs) => sum + placeSize(needs), 0);
    const end = start + used + (growing ? SPARE : 0);
    this.arena = new Arena(new SharedArrayBuffer(end));
    this.#free = [{ start, end }];
    this.#used = start;
    this.slices = devices.map((needs) => this.add(needs));
  }

  /**
   * Finds a place for a device; its bytes are zero.
   *
   * @param needs How much
   * @returns The place
   * @throws {VmError} If there is no room left
   */
  add(needs: DeviceNeeds): DeviceSlice {
    const size = placeSize(needs);
    const index = this.#free.findIndex(({ start, end }) => end - start >= size);
    if (index < 0) throw new VmError("The VM has no room for one more device");
    const { start, end } = this.#free[index]!;
    this.#free.splice(index, 1, ...(end - start > size ? [{ start: start + size, end }] : []));
    const used = Math.min(Math.max(0, this.#used - start), size);
    new Uint8Array(this.arena.buffer, start, used).fill(0);
    this.#used = Math.max(this.#used, start + size);
    const offset = start + SLICE_HEADER;
    const pci = align(offset + needs.state);
    const ring = align(pci + needs.pci);
    return { lock: start / 4, offset, size: needs.state, pci, pciSize: needs.pci, ring };
  }

  /**
   * Takes a device's place back; no thread may use it any more.
   *
   * @param slice Its place
   */
  remove(slice: DeviceSlice): void {
    const start = slice.lock * 4;
    const end = start + placeSize({ state: slice.size, pci: slice.pciSize });
    const sorted = [...this.#free, { start, end }].sort((a, b) => a.start - b.start);
    this.#free = sorted.reduce<Extent[]>((joined, extent) => {
      const last = joined.at(-1);
      if (last?.end !== extent.start) return [...joined, extent];
      return [...joined.slice(0, -1), { start: last.start, end: extent.end }];
    }, []);
  }
}

function placeSize({ state, pci }: DeviceNeeds): number {
  return align(align(align(SLICE_HEADER + state) + pci) + RING_BYTES);
}

function align(n: number): number {
  return Math.ceil(n / CACHE_LINE) * CACHE_LINE;
}
