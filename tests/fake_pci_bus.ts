/**
 * A PCI bus in a unit test: shared state, one or more threads' views of it, and a record of every
 * interrupt.
 *
 * @module
 */
import type { IoHandler, Width } from "../vmm/device.ts";
import { PciBus, PciFunctionState } from "../vmm/pci/bus.ts";
import type { PciBar, PciFunction, PciInterrupts } from "../vmm/pci/function.ts";

/** Where the bus's shared words are. */
const GENERATION = 0;
const INTX = 1;
/** The slots' locks are here, so a test can look at them. */
const LOCKS = 16;

/** The memory window of every fake bus, 256 MiB; one above 4 GiB follows. */
export const WINDOW = { base: 0xc000_0000, size: 0x1000_0000 };
/** The window above 4 GiB. */
export const HIGH_WINDOW = { base: 0x40_0000_0000, size: 0x40_0000_0000 };

/** Plain memory behind a BAR. */
export class Scratch implements IoHandler {
  /** Each access, as `r4@0` or `w2@8=1f`. */
  readonly log: string[] = [];
  readonly #bytes: Uint8Array;

  /**
   * @param size Bytes
   */
  constructor(size: number) {
    this.#bytes = new Uint8Array(Math.min(size, 0x1_0000));
  }

  read(offset: number, width: Width): number {
    this.log.push(`r${width}@${offset}`);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#bytes[offset + i]!;
    return value;
  }

  write(offset: number, width: Width, value: number): void {
    this.log.push(`w${width}@${offset}=${value.toString(16)}`);
    for (let i = 0; i < width; i++) this.#bytes[offset + i] = value >>> (8 * i);
  }
}

/**
 * A BAR with plain memory behind it.
 *
 * @param index Its register
 * @param kind `io`, `mem32` or `mem64`
 * @param size Bytes
 */
export function bar(index: number, kind: PciBar["kind"], size: number): PciBar {
  return { index, kind, size, maxWidth: 4, handler: new Scratch(size) };
}

/** A function with nothing but its identification, and what a test adds. */
export function fakeFunction(more: Partial<PciFunction> = {}): PciFunction {
  return { vendor: 0x1af4, device: 0x1042, classCode: 0x01_80_00, bars: [], ...more };
}

/** A machine as far as PCI goes. */
export class FakePciMachine {
  /** Shared words. */
  readonly words = new Int32Array(new SharedArrayBuffer(256));
  /** Every MSI, as `low high data` in hexadecimal. */
  readonly messages: string[] = [];
  /** Every change of a line, as `[gsi, level]`. */
  readonly lines: [number, boolean][] = [];
  /** Called before a line is driven, as another thread might run just then. */
  beforeLine: ((gsi: number, level: boolean) => void) | undefined;
  readonly #states = new Map<number, DataView>();

  /** A thread's view of the bus. */
  thread(): PciBus {
    return new PciBus({
      words: this.words,
      generation: GENERATION,
      intx: INTX,
      windows: [WINDOW, HIGH_WINDOW],
      platform: {
        signalMsi: (...message) =>
          void this.messages.push(message.map((word) => word.toString(16)).join(" ")),
        setLine: (gsi, level) => {
          this.beforeLine?.(gsi, level);
          this.lines.push([gsi, level]);
        },
      },
    });
  }

  /** A slot's state, which all threads share. */
  state(slot: number): DataView {
    const state = this.#states.get(slot) ??
      new DataView(new SharedArrayBuffer(PciFunctionState.size));
    this.#states.set(slot, state);
    return state;
  }

  /** Index of a slot's lock. */
  lock(slot: number): number {
    return LOCKS + slot;
  }

  /** Opens a function in one thread's view, without a reset. */
  open(bus: PciBus, slot: number, fn: PciFunction): PciInterrupts {
    const opened = bus.open(slot, `slot${slot}`, this.lock(slot), this.state(slot));
    opened.attach(fn);
    return opened.interrupts;
  }

  /** The level that a GSI's line has now. */
  level(gsi: number): boolean {
    return this.lines.findLast(([line]) => line === gsi)?.[1] ?? false;
  }
}

/** A bus with one function in slot 1, reset, and its interrupts. */
export function onePciFunction(more: Partial<PciFunction> = {}) {
  const machine = new FakePciMachine();
  const bus = machine.thread();
  const interrupts = machine.open(bus, 1, fakeFunction(more));
  bus.reset(1);
  return { machine, bus, interrupts, config: new Config(bus, 1) };
}

/** A function's configuration space. */
export class Config {
  readonly #bus: PciBus;
  readonly #base: number;

  /**
   * @param bus The bus
   * @param slot The function's slot
   */
  constructor(bus: PciBus, slot: number) {
    this.#bus = bus;
    this.#base = slot << 15;
  }

  /** Reads a register, 4 bytes unless told. */
  read(register: number, width: Width = 4): number {
    return this.#bus.readConfiguration(this.#base + register, width);
  }

  /** Writes a register. */
  write(register: number, width: Width, value: number): void {
    this.#bus.writeConfiguration(this.#base + register, width, value);
  }
}
