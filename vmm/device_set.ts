/**
 * A machine's devices as one thread runs them: each opened over its slice of the arena and attached
 * to that thread's bus.
 *
 * @module
 */
import { monotonicMilliseconds } from "../ffi/clock.ts";
import { Vm } from "../ffi/kvm/vm.ts";
import { type Arena, type DeviceSlice, PCI_GENERATION, PCI_LINES } from "./arena.ts";
import { Bus } from "./bus.ts";
import type { ByteRing } from "./byte_ring.ts";
import type { Device, DeviceContext, DeviceEvent, DevicePlan, DeviceType } from "./device.ts";
import { deviceFailure } from "./device_failure.ts";
import { lockDevice, unlockDevice } from "./device_lock.ts";
import type { GuestMemory } from "./guest_memory.ts";
import { KvmIoEvent, signalEventFd } from "./io_event.ts";
import { closeSlots, type MemorySlot, openSlots } from "./memory_slot.ts";
import { openDevice } from "./opened_device.ts";
import type { Span } from "./pci/base_address.ts";
import { PciBus } from "./pci/bus.ts";
import type { PciHostContext } from "./pci/host.ts";
import { WriteLog } from "./write_log.ts";

/** What a thread needs of the machine to open its devices; plain data, fit for postMessage. */
export interface DeviceHost {
  /** Guest memory. */
  readonly slots: readonly MemorySlot[];
  /** A {@linkcode WriteLog}. */
  readonly writeLog: SharedArrayBuffer;
  /** The VM's descriptor. */
  readonly vmFd: number;
  /** Whether it has interrupt controllers. */
  readonly irqchip: boolean;
  /** Where PCI's BARs go; empty without a PCI bus. */
  readonly pciWindows: readonly Span[];
  /** The eventfd that wakes each I/O thread. */
  readonly ioFds: readonly number[];
}

/** A device and its place; plain data too. */
export interface PlacedDevice {
  readonly plan: DevicePlan;
  readonly slice: DeviceSlice;
}

/** What a thread needs to open a machine's devices. */
export interface DeviceSetPlan extends DeviceHost {
  readonly devices: readonly PlacedDevice[];
}

/** One device of a thread's set. */
export interface OpenDevice {
  readonly name: string;
  readonly type: string;
  readonly device: Device;
  readonly lock: number;
  readonly ring: ByteRing;
  /** Its kind. */
  readonly kind: DeviceType;
  /** Its registers. */
  readonly state: DataView;
  /** What the PCI bus keeps of it, if it is on it. */
  readonly pciState: DataView;
  /** How many queues it has, or other things that want an eventfd each. */
  readonly events: number;
  /** Its slot on the PCI bus, if it is on it. */
  readonly slot: number | undefined;
  /** Which I/O thread serves it. */
  readonly io: number;
}

/** Takes what happened to a device; the machine's own events have an empty name. */
export type EventSink = (device: string, event: DeviceEvent) => void;

/** The devices of one thread. */
export class DeviceSet {
  /** Who answers which port and address. */
  readonly bus: Bus;
  /** What of guest memory devices write. */
  readonly writeLog: WriteLog;
  readonly #arena: Arena;
  readonly #host: DeviceHost;
  readonly #report: EventSink;
  readonly #vm: Vm;
  readonly #pci: PciBus | undefined;
  readonly #devices: OpenDevice[] = [];
  #memory: GuestMemory | undefined;
  #wait: (() => boolean) | undefined;

  /**
   * @param arena The VM's shared state
   * @param host The machine
   * @param report Told of what happens to a device
   */
  constructor(arena: Arena, host: DeviceHost, report: EventSink) {
    this.#arena = arena;
    this.#host = host;
    this.#report = report;
    this.bus = new Bus(arena.words);
    this.writeLog = new WriteLog(host.slots, host.writeLog);
    this.#vm = new Vm(host.vmFd, 0);
    if (host.pciWindows.length > 0) {
      this.#pci = new PciBus({
        words: arena.words,
        generation: PCI_GENERATION,
        intx: PCI_LINES,
        windows: host.pciWindows,
        platform: {
          signalMsi: (low, high, data) => void this.#vm.signalMsi(low, high, data),
          setLine: (gsi, level) => {
            if (host.irqchip) this.#vm.setIrqLine(gsi, level);
          },
        },
      });
      this.bus.route(this.#pci);
    }
  }

  /** The devices, in the document's order, later ones at the end. */
  get devices(): readonly OpenDevice[] {
    return this.#devices;
  }

  /** Guest memory as this thread sees it. */
  get memory(): GuestMemory {
    return this.#memory ??= openSlots(this.#host.slots, this.writeLog);
  }

  /**
   * Opens a device in this thread.
   *
   * @param placed What and where
   * @param type Its kind
   * @returns The open device
   * @throws {DocumentError} If it is no device, or wants ports or addresses that another one has
   * @throws {VmError} If its code throws
   */
  attach({ plan, slice }: PlacedDevice, type: DeviceType): OpenDevice {
    const { name, config, slot } = plan;
    const arena = this.#arena;
    const ring = arena.ring(slice);
    const ringReady = () => ring.ready;
    const openMemory = () => this.memory;
    const pci = slot === undefined
      ? undefined
      : this.#pci!.open(slot, name, slice.lock, arena.pciState(slice));
    const context: DeviceContext & Partial<PciHostContext> = {
      name,
      state: arena.state(slice),
      get memory() {
        return openMemory();
      },
      output: {
        write: (byte) => {
          ring.write(byte);
          // The reader empties the ring and looks again before it sleeps: only the first byte wakes it.
          if (ring.length === 1) arena.doorbell.ring();
          if (!ring.ready) this.#wait = ringReady;
        },
        writeAll: (bytes) => {
          ring.writeAll(bytes);
          // No more there than these: the reader had emptied it, and may be asleep.
          if (ring.length <= bytes.length) arena.doorbell.ring();
          if (!ring.ready) this.#wait = ringReady;
        },
        get ready() {
          if (ring.ready) return true;
          arena.markWantsRoom(slice.lock);
          return ring.ready; // it may have been emptied before the mark was there
        },
      },
      interrupt: (gsi) => ({
        set: (level) => {
          if (this.#host.irqchip) this.#vm.setIrqLine(gsi, level);
        },
      }),
      monotonic: monotonicMilliseconds,
      realtime: Date.now,
      stop: (kind, status) => arena.stop(kind, status),
      rearm: () => arena.doorbell.ring(),
      pci: pci?.interrupts,
      ...(this.#pci === undefined ? {} : { pciBus: this.#pci }),
      events: plan.eventFds.map((fd) => new KvmIoEvent(this.#vm, fd)),
      event: (event) => this.#report(name, event),
      wake: () => this.#wake(slice.lock, plan.io),
      hold: (ready) => {
        this.#wait = ready;
      },
      progress: () => arena.announceProgress(),
    };
    let device: Device;
    try {
      device = openDevice(type, config, context);
      this.bus.attach(name, slice.lock, device.ranges);
      pci?.attach(device.pci!);
    } catch (error) {
      this.#forget(name, slot);
      throw error;
    }
    const open = {
      ...{ name, type: plan.type, kind: type, device, lock: slice.lock, ring, slot, io: plan.io },
      state: arena.state(slice),
      pciState: arena.pciState(slice),
      events: plan.eventFds.length,
    };
    this.#devices.push(open);
    return open;
  }

  /**
   * Takes a device of the PCI bus away from this thread, if it is there.
   *
   * @param name Its name
   */
  detach(name: string): void {
    const index = this.#devices.findIndex((open) => open.name === name);
    if (index < 0) return; // it failed to open
    const [open] = this.#devices.splice(index, 1);
    this.#forget(name, open!.slot);
  }

  /**
   * Puts a device's registers to their power-on values.
   *
   * @param open The device
   */
  reset(open: OpenDevice): void {
    this.locked(open, (device) => {
      if (open.slot !== undefined) this.#pci!.reset(open.slot);
      device.reset();
    });
  }

  /**
   * Goes on from a PCI function's registers that were written from outside; under its lock.
   *
   * @param slot Its slot
   */
  restoreFunction(slot: number): void {
    this.#pci!.restored(slot);
  }

  /**
   * Runs a function under a device's lock.
   *
   * @param open The device
   * @param work What to do
   * @returns What it gave
   * @throws {VmError} If the device's code throws
   */
  locked<T>(open: OpenDevice, work: (device: Device) => T): T {
    lockDevice(this.#arena.words, open.lock);
    try {
      return work(open.device);
    } catch (error) {
      throw deviceFailure(open.name, error);
    } finally {
      unlockDevice(this.#arena.words, open.lock);
    }
  }

  /** What the last access has its vCPU wait for, outside of the device's lock. */
  takeWait(): (() => boolean) | undefined {
    const wait = this.#wait;
    this.#wait = undefined;
    return wait;
  }

  /**
   * Tells a device that its output has been read, if it waits for that.
   *
   * @param open The device
   */
  roomMade(open: OpenDevice): void {
    if (this.#arena.takeWantsRoom(open.lock)) this.#wake(open.lock, open.io);
  }

  /** Closes this thread's views of guest memory. */
  close(): void {
    if (this.#memory !== undefined) closeSlots(this.#memory);
    this.#memory = undefined;
  }

  /** Nobody answers for a device any more, in this thread. */
  #forget(name: string, slot: number | undefined): void {
    this.bus.detach(name);
    if (slot !== undefined) this.#pci!.detach(slot);
  }

  #wake(lock: number, io: number): void {
    if (this.#arena.markWake(lock)) {
      const fd = this.#host.ioFds[io];
      if (fd !== undefined) signalEventFd(fd);
    }
  }
}
