/**
 * Who watches a machine: readers of exits and of samples, each with rings of its own, and KVM's figures.
 * What is watched changes while the machine runs; with nobody here its vCPUs do nothing for it.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { Device } from "../device.ts";
import type { FigureRecord, MachineFigures } from "./machine_figures.ts";
import type { TracePlan, WatchPlan } from "./watch_plan.ts";

/** How long a reader that does not read holds up a machine that has ended. */
const SLOW_READER_MILLISECONDS = 500;

/** A machine as this sees it. */
export interface WatchedMachine {
  /** How many vCPUs it has. */
  readonly cpus: number;
  /** The VM's descriptor. */
  readonly vmFd: number;
  /** Whether its vCPUs have threads now. */
  readonly lives: boolean;
  /** Settles when it has ended. */
  readonly ended: Promise<unknown>;
  /** Its devices, with the indices of their locks. */
  readonly devices: readonly {
    readonly name: string;
    readonly lock: number;
    readonly device: Pick<Device, "gauges">;
  }[];
  /** What its devices count. */
  deviceStats(): Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The thread that runs a vCPU; 0 without one. */
  threadId(vcpu: number): number;
  /** Has every vCPU watch something else. */
  apply(plan: WatchPlan): Promise<void>;
  /** Brings a vCPU out of KVM_RUN. */
  kick(vcpu: number): void;
  /** Holds every vCPU, so that their ioctls don't block. */
  hold<T>(work: (vcpus: readonly Vcpu[]) => T): Promise<T>;
}

/** The watchers of one machine. */
export class MachineWatch implements AsyncDisposable {
  /** The machine. */
  readonly machine: WatchedMachine;
  readonly #traces = new Set<TracePlan>();
  readonly #profiles = new Set<readonly (SharedArrayBuffer | undefined)[]>();
  #figures: Promise<MachineFigures> | undefined;
  /** Resolves when nobody watches any more, of a machine that goes. */
  readonly #left = Promise.withResolvers<void>();
  #disposed = false;

  /**
   * @param machine Whom to watch
   */
  constructor(machine: WatchedMachine) {
    this.machine = machine;
  }

  /**
   * Has exits recorded.
   *
   * @param trace Which, and where
   * @returns Ends it; resolves when no thread writes any more
   */
  async trace(trace: TracePlan): Promise<() => Promise<void>> {
    return await this.#join(this.#traces, trace);
  }

  /**
   * Has samples recorded, one each time that a ring's reader wants one and kicks the vCPU.
   *
   * @param rings A ring for each vCPU
   * @returns Ends it; resolves when no thread writes any more
   */
  async profile(
    rings: readonly (SharedArrayBuffer | undefined)[],
  ): Promise<() => Promise<void>> {
    return await this.#join(this.#profiles, rings);
  }

  /**
   * Reads what KVM, the host's scheduler and the devices have counted since the machine's start.
   *
   * @returns A record for the VM, each vCPU and each device
   * @throws {VmError} If the machine has ended
   */
  async figures(): Promise<FigureRecord[]> {
    this.#requireLife();
    this.#figures ??= this.#openFigures();
    const figures = await this.#figures;
    this.#requireLife();
    return figures.read();
  }

  async #openFigures(): Promise<MachineFigures> {
    try {
      const { MachineFigures } = await import("./machine_figures.ts");
      return await this.machine.hold((vcpus) => {
        this.#requireLife();
        return new MachineFigures(this.machine, vcpus);
      });
    } catch (error) {
      this.#figures = undefined; // the next one who asks may have more luck
      throw error;
    }
  }

  #requireLife(): void {
    if (this.#disposed || !this.machine.lives) {
      throw new VmError("Cannot watch a VM that does not run");
    }
  }

  async #join<T>(set: Set<T>, watcher: T): Promise<() => Promise<void>> {
    this.#requireLife();
    set.add(watcher);
    try {
      await this.#apply();
    } catch (error) {
      set.delete(watcher);
      throw error;
    }
    return async () => {
      if (!set.delete(watcher)) return;
      if (this.#traces.size + this.#profiles.size === 0 && this.#disposed) this.#left.resolve();
      await this.#apply();
    };
  }

  async #apply(): Promise<void> {
    if (!this.machine.lives) return; // its threads are gone, and so is what they watched
    await this.machine.apply({ traces: [...this.#traces], profiles: [...this.#profiles] });
  }

  /**
   * Lets readers take what came last, unless they are slow, and closes what is open; the machine has
   * ended.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    if (this.#traces.size + this.#profiles.size > 0) {
      const late = setTimeout(this.#left.resolve, SLOW_READER_MILLISECONDS);
      await this.#left.promise;
      clearTimeout(late);
    }
    await this.#figures?.then((figures) => figures[Symbol.dispose](), () => {});
    this.#figures = undefined;
  }
}
