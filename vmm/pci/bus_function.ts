/**
 * One function on the bus as one thread sees it: its configuration space over shared state, its
 * interrupts, and where its BARs are decoded.
 *
 * @module
 */
import type { Width } from "../device.ts";
import { baseOf, checkBars, findPlace, isWithin, setBase, type Span } from "./base_address.ts";
import { type ConfigurationLayout, layOutConfiguration } from "./capabilities.ts";
import { At, Command, CONFIGURATION_SIZE, Status } from "./configuration_space.ts";
import type { PciBar, PciFunction, PciInterrupts } from "./function.ts";
import type { IntxLines } from "./intx.ts";
import { Msix, type SignalMsi } from "./msix.ts";

/** What a function needs of its bus. */
export interface FunctionBus {
  /** Sends an MSI-X message. */
  readonly signalMsi: SignalMsi;
  /** The lines that slots share. */
  readonly intx: IntxLines;
  /** Addresses that BARs can have, in order of preference. */
  readonly memoryWindows: readonly Span[];
  /** Ports that BARs can have. */
  readonly portWindows: readonly Span[];
  /** Told that some BAR is decoded elsewhere now. */
  decodingChanged(): void;
}

/** A function in its slot. Everything but {@linkcode ejected} and {@linkcode spans} wants its lock. */
export class BusFunction implements PciInterrupts {
  /** 0 to 31. */
  readonly slot: number;
  /** The device's name. */
  readonly name: string;
  /** Index of its lock; undefined if whoever calls holds it. */
  readonly lock: number | undefined;
  readonly #view: DataView;
  readonly #bus: FunctionBus;
  readonly #msix: Msix;
  #fn: PciFunction | undefined;
  #layout: ConfigurationLayout | undefined;
  #bars: readonly PciBar[] = [];

  /**
   * @param bus The bus
   * @param slot 0 to 31
   * @param name The device's name
   * @param lock Index of its lock
   * @param state The function's state
   */
  constructor(
    bus: FunctionBus,
    slot: number,
    name: string,
    lock: number | undefined,
    state: DataView,
  ) {
    this.#bus = bus;
    this.slot = slot;
    this.name = name;
    this.lock = lock;
    this.#view = state;
    this.#msix = new Msix(state, bus.signalMsi);
  }

  /**
   * Says what it is.
   *
   * @param fn The function
   * @throws {DocumentError} If there can be no such function
   */
  attach(fn: PciFunction): void {
    const bars = fn.msix === undefined ? fn.bars : [...fn.bars, this.#msix.bar(fn.msix.bar)];
    checkBars(this.name, bars);
    this.#layout = layOutConfiguration(this.name, this.slot, fn, bars);
    this.#bars = bars;
    this.#msix.vectors = fn.msix?.vectors ?? 0;
    this.#fn = fn;
  }

  /** Whether it is there for the guest. */
  get present(): boolean {
    return this.#fn !== undefined && this.#view.getUint8(At.ejected) === 0;
  }

  get msixEnabled(): boolean {
    return this.#msix.enabled;
  }

  signal(vector: number): void {
    this.#msix.signal(vector);
  }

  setIntx(level: boolean): void {
    const status = this.#view.getUint16(At.status, true);
    this.#view.setUint16(
      At.status,
      level ? status | Status.INTERRUPT : status & ~Status.INTERRUPT,
      true,
    );
    this.#driveIntx();
  }

  /**
   * Reads from its configuration space.
   *
   * @param offset 0 to 4095
   * @param width 1, 2 or 4, not past the end
   * @returns The value
   */
  read(offset: number, width: Width): number {
    const capability = this.#capabilityAt(offset, width);
    if (capability >= 0) {
      const at = offset - this.#layout!.vendorCapabilities[capability]!.at;
      const value = this.#fn!.readCapability?.(capability, at, width);
      if (value !== undefined) return width === 4 ? value >>> 0 : value & (2 ** (8 * width) - 1);
    }
    let value = 0;
    for (let i = 0; i < width && offset + i < CONFIGURATION_SIZE; i++) {
      value |= this.#view.getUint8(offset + i) << (8 * i);
    }
    return value >>> 0;
  }

  /**
   * Writes to its configuration space.
   *
   * @param offset 0 to 4095
   * @param width 1, 2 or 4, not past the end
   * @param value An unsigned number of that width
   */
  write(offset: number, width: Width, value: number): void {
    const capability = this.#capabilityAt(offset, width);
    if (capability >= 0) {
      const at = offset - this.#layout!.vendorCapabilities[capability]!.at;
      this.#fn!.writeCapability?.(capability, at, width, value);
      return;
    }
    const before = this.#decodedBases();
    const mastered = this.#mastered;
    const { writable } = this.#layout!;
    for (let i = 0; i < width && offset + i < CONFIGURATION_SIZE; i++) {
      const mask = writable[offset + i]!;
      if (mask === 0) continue;
      const old = this.#view.getUint8(offset + i);
      this.#view.setUint8(offset + i, (old & ~mask) | ((value >>> (8 * i)) & mask));
    }
    this.#announceBases(before);
    if (mastered && !this.#mastered) this.#fn!.unmastered?.();
    this.#driveIntx();
    this.#msix.deliverPending();
  }

  /**
   * Power-on values, and an address for each BAR that there is room for; nothing is decoded yet.
   *
   * @param takenMemory Addresses that other functions' BARs hold
   * @param takenPorts Ports that other functions' BARs hold
   */
  reset(takenMemory: readonly Span[], takenPorts: readonly Span[]): void {
    const before = this.#decodedBases();
    const { image } = this.#layout!;
    for (let at = 0; at < CONFIGURATION_SIZE; at++) this.#view.setUint8(at, image[at]!);
    this.#msix.reset();
    const memory = [...takenMemory];
    const ports = [...takenPorts];
    for (const bar of [...this.#bars].sort((a, b) => b.size - a.size)) {
      const [windows, taken] = bar.kind === "io"
        ? [this.#bus.portWindows, ports]
        : [this.#bus.memoryWindows.filter((window) => reaches(bar, window)), memory];
      const base = findPlace(windows, taken, bar.size);
      if (base === undefined) continue; // it stays 0, as firmware leaves what finds no room
      setBase(this.#view, bar, base);
      taken.push({ base, size: bar.size });
    }
    this.#announceBases(before);
    this.#driveIntx();
  }

  /**
   * Goes on from registers that were written from outside: what can only be read is as this function has
   * it.
   */
  restored(): void {
    const { image, writable } = this.#layout!;
    const intx = this.#view.getUint16(At.status, true) & Status.INTERRUPT;
    for (let at = 0; at < CONFIGURATION_SIZE; at++) {
      const mask = writable[at]!;
      this.#view.setUint8(at, (this.#view.getUint8(at) & mask) | (image[at]! & ~mask));
    }
    const status = this.#view.getUint16(At.status, true);
    this.#view.setUint16(At.status, status | (this.#fn!.intx === false ? 0 : intx), true);
    this.#msix.restored();
    this.#announceBases(this.#bars.map(() => undefined));
    this.#driveIntx();
  }

  /** Takes it away from the guest: it answers no access and sends no interrupt any more. */
  eject(): void {
    const before = this.#decodedBases();
    this.#view.setUint16(At.command, 0, true);
    this.#view.setUint8(At.ejected, 1);
    this.#announceBases(before);
    this.setIntx(false);
  }

  /** The addresses, or ports, that its BARs hold, decoded or not. */
  spans(space: "pio" | "mmio"): Span[] {
    return this.#bars
      .filter(({ kind }) => (kind === "io") === (space === "pio"))
      .map((bar) => ({ base: baseOf(this.#view, bar), size: bar.size }));
  }

  /**
   * Calls a function for each BAR that is decoded. Without the lock it may see a change half made:
   * {@linkcode FunctionBus.decodingChanged} comes when it is done.
   *
   * @param each Gets the BAR and its address
   */
  forEachDecoded(each: (bar: PciBar, base: number) => void): void {
    for (const bar of this.#bars) {
      const base = this.#decodedBase(bar);
      if (base !== undefined) each(bar, base);
    }
  }

  /** The vendor-specific capability that holds an access, past ID and next pointer; or -1. */
  #capabilityAt(offset: number, width: Width): number {
    if (offset % width !== 0) return -1;
    return this.#layout!.vendorCapabilities.findIndex(({ at, end }) =>
      offset >= at + 2 && offset + width <= end
    );
  }

  get #mastered(): boolean {
    return (this.#view.getUint16(At.command, true) & Command.BUS_MASTER) !== 0;
  }

  #decodedBases(): (number | undefined)[] {
    return this.#bars.map((bar) => this.#decodedBase(bar));
  }

  #decodedBase(bar: PciBar): number | undefined {
    const io = bar.kind === "io";
    const enable = io ? Command.IO_SPACE : Command.MEMORY_SPACE;
    if ((this.#view.getUint16(At.command, true) & enable) === 0) return undefined;
    const base = baseOf(this.#view, bar);
    const windows = io ? this.#bus.portWindows : this.#bus.memoryWindows;
    return isWithin(windows, base, bar.size) ? base : undefined;
  }

  #announceBases(before: readonly (number | undefined)[]): void {
    const after = this.#decodedBases();
    if (after.every((base, i) => base === before[i])) return;
    this.#bus.decodingChanged();
    for (const [i, { index }] of this.#bars.entries()) {
      if (index === this.#fn!.msix?.bar || after[i] === before[i]) continue;
      // One that moves loses its old address first, for whoever keeps something there.
      if (before[i] !== undefined) this.#fn!.decoded?.(index, undefined);
      if (after[i] !== undefined) this.#fn!.decoded?.(index, after[i]);
    }
  }

  /** INTA is off while the command register says so, and while MSI-X is on (§6.8.3.3). */
  #driveIntx(): void {
    const asserted = (this.#view.getUint16(At.status, true) & Status.INTERRUPT) !== 0;
    const disabled = (this.#view.getUint16(At.command, true) & Command.INTERRUPT_DISABLE) !== 0 ||
      this.msixEnabled;
    this.#bus.intx.set(this.slot, asserted && !disabled);
  }
}

function reaches(bar: PciBar, window: Span): boolean {
  return bar.kind === "mem64" || window.base + window.size <= 2 ** 32;
}
