/**
 * Looks into a machine that stands still, one after the other: its vCPUs between two instructions, or
 * all of it frozen, so that nothing of its state changes.
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import type { Json } from "../ffi/struct.ts";
import type { Console } from "./console.ts";
import type { DeviceSet } from "./device_set.ts";
import type { GuestMemory } from "./guest_memory.ts";
import type { MachineThreads } from "./machine_threads.ts";
import type { DeviceTimers } from "./timers.ts";

/** What a look shows. */
export interface MachineInside {
  /** The vCPUs; their ioctls don't block now. */
  readonly vcpus: readonly Vcpu[];
  /** Guest-physical memory, as long as the machine lives. */
  readonly memory: GuestMemory;
  /** The VM's descriptor. */
  readonly vmFd: number;
}

/** What a look into a frozen machine shows. */
export interface FrozenMachine extends MachineInside {
  /** The devices, as the main thread has them. */
  readonly devices: DeviceSet;
  /**
   * What devices keep beside the arena, by name. What is put here before the machine is started, its
   * devices get.
   */
  readonly kept: Map<string, Json>;
}

/** The machine that is looked into. */
export interface StandingMachine {
  readonly vcpus: readonly Vcpu[];
  readonly vmFd: number;
  readonly devices: DeviceSet;
  readonly threads: MachineThreads;
  readonly console: Console;
  readonly timers: DeviceTimers;
  /** What devices are to get when the machine is started. */
  readonly kept: Map<string, Json>;
  /** Whether it comes to its end. */
  ending(): boolean;
  /** Has every vCPU stand; a machine that is coming to its end may not. */
  stand(): Promise<void>;
  /** The look is over: it may go on. */
  goOn(): void;
}

/** The looks into one machine. */
export class Standstill {
  readonly #machine: StandingMachine;
  /** The last look that was asked for. */
  #last: Promise<void> = Promise.resolve();
  #looking = false;
  #frozen = false;

  /**
   * @param machine What is looked into
   */
  constructor(machine: StandingMachine) {
    this.#machine = machine;
  }

  /** Whether somebody looks, so that vCPUs must not go on. */
  get looking(): boolean {
    return this.#looking;
  }

  /** Whether the machine is frozen, so that nothing may be done to its devices. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /**
   * Looks while every vCPU stands.
   *
   * @param work What to do
   * @returns What it gave
   * @throws {VmError} If the machine can't be looked into
   */
  async inspect<T>(work: (inside: MachineInside) => T | Promise<T>): Promise<T> {
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    await before;
    const machine = this.#machine;
    try {
      this.#looking = true;
      await machine.stand();
      const { vcpus, vmFd, devices, timers } = machine;
      timers.hold();
      try {
        return await work({
          vcpus,
          vmFd,
          // Views of much memory have V8 collect garbage, and not everybody looks.
          get memory() {
            return devices.memory;
          },
        });
      } finally {
        this.#looking = false;
        if (!machine.ending()) timers.letGo(); // else they have been cleared
        machine.goOn();
      }
    } finally {
      this.#looking = false;
      turn.resolve();
    }
  }

  /**
   * Looks while the machine is frozen.
   *
   * @param work What to do
   * @returns What it gave
   * @throws {VmError} If the machine can't be looked into, or ends before it is frozen
   */
  async freeze<T>(work: (frozen: FrozenMachine) => T | Promise<T>): Promise<T> {
    return await this.inspect(async (inside) => {
      const { devices } = this.#machine;
      this.#frozen = true;
      try {
        const frozen = { devices, kept: await this.#freeze() };
        return await work(
          Object.defineProperties(
            frozen,
            Object.getOwnPropertyDescriptors(inside),
          ) as FrozenMachine,
        );
      } finally {
        this.#frozen = false;
        this.#thaw();
      }
    });
  }

  /** Has devices begin nothing any more, and waits for what they have begun. */
  async #freeze(): Promise<Map<string, Json>> {
    const { devices, threads, console, kept, ending } = this.#machine;
    console.hold();
    for (const open of devices.devices) devices.locked(open, (device) => device.freeze?.());
    const outside = threads.servesDevices ? await threads.standIo() : kept;
    if (ending()) throw new VmError("The VM has ended");
    return outside;
  }

  #thaw(): void {
    const { devices, threads, console, ending } = this.#machine;
    if (ending()) return; // what was held may be gone
    for (const open of devices.devices) devices.locked(open, (device) => device.thaw?.());
    threads.letIoGo();
    console.letGo();
  }
}
