/**
 * A machine's devices as one thread runs them: each opened over its slice of the arena and attached
 * to that thread's bus.
 *
 * @module
 */
import { monotonicMilliseconds } from "../ffi/clock.ts";
import { Vm } from "../ffi/kvm/vm.ts";
import type { Arena, DeviceSlice } from "./arena.ts";
import { Bus } from "./bus.ts";
import type { ByteRing } from "./byte_ring.ts";
import type { Device, DevicePlan, DeviceType } from "./device.ts";
import { deviceFailure } from "./device_failure.ts";
import { lockDevice, unlockDevice } from "./device_lock.ts";
import { closeSlots, type MemorySlot, openSlots } from "./memory.ts";
import type { GuestMemory } from "./guest_memory.ts";
import { openDevice } from "./opened_device.ts";

/** What a thread needs to open a machine's devices; plain data, fit for postMessage. */
export interface DeviceSetPlan {
  /** The devices. */
  readonly devices: readonly DevicePlan[];
  /** Their places, in the same order. */
  readonly slices: readonly DeviceSlice[];
  /** Guest memory. */
  readonly slots: readonly MemorySlot[];
  /** The VM's descriptor. */
  readonly vmFd: number;
  /** Whether it has interrupt controllers. */
  readonly irqchip: boolean;
}

/** One device of a thread's set. */
export interface OpenDevice {
  readonly name: string;
  readonly type: string;
  readonly device: Device;
  readonly lock: number;
  readonly ring: ByteRing;
}

/** The devices of one thread. */
export class DeviceSet {
  /** Who answers which port and address. */
  readonly bus: Bus;
  /** The devices, in the document's order. */
  readonly devices: readonly OpenDevice[];
  readonly #arena: Arena;
  readonly #slots: readonly MemorySlot[];
  #memory: GuestMemory | undefined;
  #full: ByteRing | undefined;

  /**
   * @param arena The VM's shared state
   * @param plan What to open
   * @param types The devices' kinds, in the same order
   * @throws {DocumentError} If one is no device, or two want the same ports or addresses
   * @throws {VmError} If the code of one throws
   */
  constructor(arena: Arena, plan: DeviceSetPlan, types: readonly DeviceType[]) {
    this.#arena = arena;
    this.#slots = plan.slots;
    this.bus = new Bus(arena.words);
    const vm = new Vm(plan.vmFd, 0);
    this.devices = plan.devices.map(({ name, type, config }, i) => {
      const slice = plan.slices[i]!;
      const ring = arena.ring(slice);
      const openMemory = () => this.#memory ??= openSlots(this.#slots);
      const device = openDevice(types[i]!, config, {
        name,
        state: arena.state(slice),
        get memory() {
          return openMemory();
        },
        output: {
          write: (byte) => this.#output(ring, byte),
          get ready() {
            return ring.ready;
          },
        },
        interrupt: (gsi) => ({
          set: (level) => {
            if (plan.irqchip) vm.setIrqLine(gsi, level);
          },
        }),
        monotonic: monotonicMilliseconds,
        realtime: Date.now,
        stop: (kind, status) => arena.stop(kind, status),
        rearm: () => arena.ringDoorbell(),
        pci: undefined,
        events: [],
        event() {},
        wake() {},
        hold() {},
        progress: () => arena.announceProgress(),
      });
      this.bus.attach(name, slice.lock, device.ranges);
      return { name, type, device, lock: slice.lock, ring };
    });
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

  /** The ring that the last access filled, for the vCPU to wait on outside the device's lock. */
  takeFullRing(): ByteRing | undefined {
    const ring = this.#full;
    this.#full = undefined;
    return ring;
  }

  /** Closes this thread's views of guest memory. */
  close(): void {
    if (this.#memory !== undefined) closeSlots(this.#memory);
    this.#memory = undefined;
  }

  #output(ring: ByteRing, byte: number): void {
    ring.write(byte);
    // The reader empties the ring and looks again before it sleeps, so only the first byte wakes it.
    if (ring.length === 1) this.#arena.ringDoorbell();
    if (!ring.ready) this.#full = ring;
  }
}
