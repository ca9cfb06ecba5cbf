/**
 * PCI bus 0 of one thread: the functions in its slots, their configuration space, and who answers
 * at the addresses that their BARs hold. Every thread has one over the same shared state, so what a
 * guest sets up by one of its processors holds for all of them.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { Port } from "../board.ts";
import type { BusEntry, BusRouter } from "../bus.ts";
import type { Width } from "../device.ts";
import { deviceFailure } from "../device_failure.ts";
import { lockDevice, unlockDevice } from "../device_lock.ts";
import { AddressMap } from "./address_map.ts";
import type { Span } from "./base_address.ts";
import { BusFunction, type FunctionBus } from "./bus_function.ts";
import type { PciFunction, PciInterrupts } from "./function.ts";
import { IntxLines } from "./intx.ts";

export { PciFunctionState } from "./configuration_space.ts";

/** How many slots the bus has; the first is the host bridge's. */
export const PCI_SLOTS = 32;

/** Bytes of a function's configuration space (PCI Express Base 5.0 §7.2). */
const FUNCTION_SIZE = 4096;

/** Ports that BARs can have: where no device of the board is. */
const PORT_WINDOW: Span = { base: Port.PCI_WINDOW, size: Port.PCI_WINDOW_END - Port.PCI_WINDOW };

/** What a bus stands on. */
export interface PciBusOptions {
  /** The arena as words. */
  readonly words: Int32Array;
  /** Index of the word that changes whenever a BAR is decoded elsewhere. */
  readonly generation: number;
  /** Index of the first of eight words, one for each of the GSIs 16 to 23. */
  readonly intx: number;
  /** The machine's interrupts. */
  readonly platform: {
    /** Sends a message-signalled interrupt. */
    signalMsi(addressLow: number, addressHigh: number, data: number): void;
    /** Drives an input of the I/O APIC. */
    setLine(gsi: number, level: boolean): void;
  };
  /** Addresses that BARs can have, in order of preference; elsewhere they are not decoded. */
  readonly windows: readonly { readonly base: number; readonly size: number }[];
}

/** A slot that was opened: what its device gets, and then what the device is. */
export interface OpenSlot {
  /** The interrupts of the device's function. */
  readonly interrupts: PciInterrupts;
  /**
   * Puts the function into the slot, for this thread.
   *
   * @param fn The function
   * @throws {DocumentError} If there can be no such function
   */
  attach(fn: PciFunction): void;
}

/** The bus, as one thread sees it. */
export class PciBus implements BusRouter {
  readonly #words: Int32Array;
  readonly #generation: number;
  readonly #functionBus: FunctionBus;
  readonly #slots: (BusFunction | undefined)[] = new Array(PCI_SLOTS).fill(undefined);
  /** The generation that the maps were made for. */
  #seen: number;
  #memory = new AddressMap([]);
  #ports = new AddressMap([]);

  /**
   * @param options What it stands on
   */
  constructor({ words, generation, intx, platform, windows }: PciBusOptions) {
    this.#words = words;
    this.#generation = generation;
    this.#seen = Atomics.load(words, generation);
    this.#functionBus = {
      signalMsi: (low, high, data) => platform.signalMsi(low, high, data),
      intx: new IntxLines(words, intx, (gsi, level) => platform.setLine(gsi, level)),
      memoryWindows: windows,
      portWindows: [PORT_WINDOW],
      decodingChanged: () => void Atomics.add(words, generation, 1),
    };
  }

  /**
   * Opens a slot for a device. It writes no state.
   *
   * @param slot 0 to 31
   * @param name The device's name
   * @param lock Index of the device's lock; undefined for the host bridge itself, whose lock is held
   *   during every access to configuration space
   * @param state The function's part of the arena, a {@linkcode PciFunctionState}; all zero before
   *   the first {@linkcode reset} of a function
   * @returns What the device gets, and what to call with the function that it is
   * @throws {DocumentError} If there is no such slot or another device has it
   */
  open(slot: number, name: string, lock: number | undefined, state: DataView): OpenSlot {
    if (!Number.isInteger(slot) || slot < 0 || slot >= PCI_SLOTS) {
      throw new DocumentError(`Device ${name} wants PCI slot ${slot}: there are 0 to 31`);
    }
    const other = this.#slots[slot];
    if (other !== undefined) {
      throw new DocumentError(`Device ${name} wants PCI slot ${slot}: ${other.name} has it`);
    }
    const opened = new BusFunction(this.#functionBus, slot, name, lock, state);
    this.#slots[slot] = opened;
    return {
      interrupts: opened,
      attach: (fn) => {
        opened.attach(fn);
        this.#forgetMaps();
      },
    };
  }

  /**
   * Forgets a slot's function, in this thread. Nothing of its state is written: a guest that has not
   * let it go by itself loses it by {@linkcode eject}.
   *
   * @param slot 0 to 31
   */
  detach(slot: number): void {
    this.#slots[slot] = undefined;
    this.#forgetMaps();
  }

  /**
   * Puts a function's registers to their power-on values, with an address for each BAR, as firmware
   * would leave them, and no decoding. The function's lock is held by whoever calls, as it is for
   * the device's own reset. Nothing happens to a function that was ejected.
   *
   * @param slot 0 to 31, a function being in it
   */
  reset(slot: number): void {
    const fn = this.#slots[slot];
    if (fn === undefined || !fn.present) return;
    const others = this.#slots.filter((other) => other?.present && other !== fn);
    fn.reset(
      others.flatMap((other) => other!.spans("mmio")),
      others.flatMap((other) => other!.spans("pio")),
    );
  }

  /**
   * Goes on from a function's registers that were written from outside, after a {@linkcode reset}: its
   * BARs are decoded, its interrupt is driven. The function's lock is held by whoever calls.
   *
   * @param slot 0 to 31
   */
  restored(slot: number): void {
    this.#slots[slot]?.restored();
  }

  /**
   * Takes a function away from the guest, in all threads: nobody answers for it any more, and its
   * interrupt is low. Takes the function's lock.
   *
   * @param slot 1 to 31
   */
  eject(slot: number): void {
    const fn = this.#slots[slot];
    if (fn === undefined || !fn.present) return;
    this.#lock(fn);
    try {
      fn.eject();
    } catch (error) {
      throw deviceFailure(fn.name, error);
    } finally {
      this.#unlock(fn);
    }
  }

  /**
   * Whether a guest finds a function in a slot.
   *
   * @param slot 0 to 31
   * @returns Whether one is there that was not ejected
   */
  present(slot: number): boolean {
    return this.#slots[slot]?.present ?? false;
  }

  /**
   * Reads from configuration space, under the lock of the function whose it is; the host bridge's
   * lock is held by whoever calls.
   *
   * @param address As ECAM has it: bus, slot, function and register from bits 20, 15, 12 and 0 on
   * @param width 1, 2 or 4
   * @returns The value; all ones where no function is
   */
  readConfiguration(address: number, width: Width): number {
    const offset = address % FUNCTION_SIZE;
    if (offset + width > FUNCTION_SIZE) return splitRead(this, address, width);
    const fn = this.#functionAt(address);
    if (fn === undefined) return width === 4 ? 0xffff_ffff : width === 2 ? 0xffff : 0xff;
    this.#lock(fn);
    try {
      return fn.read(offset, width);
    } catch (error) {
      throw deviceFailure(fn.name, error);
    } finally {
      this.#unlock(fn);
    }
  }

  /**
   * Writes to configuration space, as {@linkcode readConfiguration} reads.
   *
   * @param address As ECAM has it
   * @param width 1, 2 or 4
   * @param value An unsigned number of that width
   */
  writeConfiguration(address: number, width: Width, value: number): void {
    const offset = address % FUNCTION_SIZE;
    if (offset + width > FUNCTION_SIZE) {
      for (let i = 0; i < width; i++) {
        this.writeConfiguration(address + i, 1, (value >>> (8 * i)) & 0xff);
      }
      return;
    }
    const fn = this.#functionAt(address);
    if (fn === undefined) return;
    this.#lock(fn);
    try {
      fn.write(offset, width, value);
    } catch (error) {
      throw deviceFailure(fn.name, error);
    } finally {
      this.#unlock(fn);
    }
  }

  findMemory(address: number): BusEntry | undefined {
    if (Atomics.load(this.#words, this.#generation) !== this.#seen) this.#makeMaps();
    return this.#memory.find(address);
  }

  findPort(port: number): BusEntry | undefined {
    if (Atomics.load(this.#words, this.#generation) !== this.#seen) this.#makeMaps();
    return this.#ports.find(port);
  }

  #functionAt(address: number): BusFunction | undefined {
    const slot = Math.floor(address / FUNCTION_SIZE / 8);
    const number = Math.floor(address / FUNCTION_SIZE) % 8;
    if (number !== 0 || slot >= PCI_SLOTS) return undefined; // single functions, on bus 0
    const fn = this.#slots[slot];
    return fn?.present ? fn : undefined;
  }

  #forgetMaps(): void {
    this.#seen = (Atomics.load(this.#words, this.#generation) - 1) | 0;
  }

  /** The lower slot wins where BARs lie over one another, then the lower register. */
  #makeMaps(): void {
    // Read before the BARs are: a change made meanwhile makes for another round.
    this.#seen = Atomics.load(this.#words, this.#generation);
    const memory: BusEntry[] = [];
    const ports: BusEntry[] = [];
    for (const fn of this.#slots) {
      if (fn === undefined || fn.lock === undefined) continue;
      const { lock, name } = fn;
      fn.forEachDecoded((bar, base) => {
        const entry = { base, end: base + bar.size, range: bar, lock, owner: name };
        (bar.kind === "io" ? ports : memory).push(entry);
      });
    }
    this.#memory = new AddressMap(memory);
    this.#ports = new AddressMap(ports);
  }

  #lock({ lock }: BusFunction): void {
    if (lock !== undefined) lockDevice(this.#words, lock);
  }

  #unlock({ lock }: BusFunction): void {
    if (lock !== undefined) unlockDevice(this.#words, lock);
  }
}

/** An access over the end of one function's space and into the next one's. */
function splitRead(bus: PciBus, address: number, width: Width): number {
  let value = 0;
  for (let i = 0; i < width; i++) value |= bus.readConfiguration(address + i, 1) << (8 * i);
  return value >>> 0;
}
