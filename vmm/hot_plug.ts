/**
 * Devices of the PCI bus that come and go while the machine runs: every thread opens the device
 * first, then the guest is told; it lets go first, then every thread closes it.
 *
 * @module
 */
import { DocumentError, VmError } from "../ffi/errors.ts";
import type { ArenaLayout } from "./arena_layout.ts";
import type { DeviceEvent } from "./device.ts";
import type { DeviceSet, PlacedDevice } from "./device_set.ts";
import { deviceNeeds, loadDevice, type Placer } from "./devices/place.ts";
import type { NamedDevice } from "./devices/plan.ts";
import type { DeviceEntry } from "./document.ts";
import type { MachineDevice } from "./machine_parts.ts";
import type { DeviceChange } from "./threads/thread.ts";

/** The board's devices that tell the guest of it: PCI's hot-plug registers, and the event they raise. */
const HOST = "pci";
const EVENTS = "pm";
const HOT_PLUG_EVENT = "1";

/** What hot-plug works on. */
export interface HotPlugMachine {
  readonly layout: ArenaLayout;
  readonly placer: Placer;
  readonly devices: DeviceSet;
  /** Has every other thread take a change. */
  change(change: DeviceChange): Promise<void>;
  /** Does something to a device from outside. */
  act(device: string, action: string, value?: string): boolean;
}

/** The devices of one machine, as they come and go. */
export class HotPlug implements AsyncDisposable {
  readonly #machine: HotPlugMachine;
  readonly #present: Map<string, MachineDevice>;
  /** What the document says of devices, and who attached others, by name. */
  readonly #entries: Map<string, DeviceEntry>;
  /** Devices that the guest was asked to let go, and who waits for that. */
  readonly #leaving = new Map<number, PromiseWithResolvers<void>>();
  /** What is done one after the other: a thread takes one change at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  /**
   * @param machine What it works on
   * @param devices The devices that are there from the start
   * @param entries The document's, in its order
   */
  constructor(
    machine: HotPlugMachine,
    devices: readonly MachineDevice[],
    entries: readonly DeviceEntry[],
  ) {
    this.#machine = machine;
    // Devices are opened in the document's order, before the board's own.
    this.#entries = new Map(entries.map((entry, i) => [devices[i]!.plan.name, entry]));
    this.#present = new Map(devices.map((device) => [device.plan.name, device]));
  }

  /** The devices that are there, as threads open them. */
  get placed(): PlacedDevice[] {
    return [...this.#present.values()].map(({ plan, slice }) => ({ plan, slice }));
  }

  /** The entries of a document that would give the machine the devices it has now, at their places. */
  get entries(): DeviceEntry[] {
    return [...this.#entries].map(([name, entry]) => {
      const slot = this.#present.get(name)?.plan.slot;
      return { ...entry, name, ...(slot === undefined ? {} : { slot }) };
    });
  }

  /**
   * Adds a device and tells the guest.
   *
   * @param entry As in a document's `devices`
   * @returns The device's name
   * @throws {DocumentError} If it is no device of the PCI bus, or its entry is wrong
   * @throws {VmError} If its code throws, or the VM has ended
   */
  attach(entry: DeviceEntry): Promise<string> {
    return this.#inTurn(() => this.#attach(entry));
  }

  async #attach(entry: DeviceEntry): Promise<string> {
    if (this.#closed) throw new VmError("The VM has ended");
    const { layout, placer, devices, change, act } = this.#machine;
    const loaded = await loadDevice(this.#named(entry));
    const { name } = loaded.device;
    if (loaded.type.bus !== "pci") {
      throw new DocumentError(`Device ${name}: only a PCI device can come while the VM runs`);
    }
    const { plan, type, resources } = await placer.place(loaded);
    await using placed = new AsyncDisposableStack();
    placed.use(resources);
    const device = { plan, slice: layout.add(deviceNeeds(plan, type)), resources };
    placed.move(); // from here on `#take` frees them
    try {
      devices.reset(devices.attach(device, type));
      await change({ kind: "attach", placed: { plan, slice: device.slice } });
    } catch (error) {
      await this.#take(device);
      throw error;
    }
    this.#present.set(name, device);
    this.#entries.set(name, entry);
    act(HOST, "plug", `${plan.slot}`);
    act(EVENTS, "gpe", HOT_PLUG_EVENT);
    return name;
  }

  /**
   * Asks the guest to let a device go, and takes it away once it has.
   *
   * @param name The device's name
   * @param signal Aborts the wait; the device then stays until the guest lets it go
   * @throws {VmError} If there is no such device, or it can't go
   */
  async detach(name: string, signal?: AbortSignal): Promise<void> {
    const device = this.#present.get(name);
    if (device === undefined) {
      throw new VmError(`There is no device ${name}`, {
        hint: `there are ${[...this.#present.keys()].join(" ")}`,
      });
    }
    const { slot } = device.plan;
    if (slot === undefined) {
      throw new VmError(`Device ${name} is not on the PCI bus and stays as long as its VM`);
    }
    const left = this.#leaving.get(slot) ?? Promise.withResolvers<void>();
    this.#leaving.set(slot, left);
    this.#machine.act(HOST, "unplug", `${slot}`);
    this.#machine.act(EVENTS, "gpe", HOT_PLUG_EVENT);
    const aborted = Promise.withResolvers<never>();
    const abort = () =>
      aborted.reject(
        new VmError(`The guest has not let ${name} go`, {
          hint: "it may be in use there; it goes as soon as the guest lets it",
        }),
      );
    signal?.addEventListener("abort", abort);
    try {
      await Promise.race([left.promise, aborted.promise]);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Takes note of what the guest did: it let a slot go, perhaps while its device was still coming.
   *
   * @param event What the host bridge told
   */
  ejected(event: DeviceEvent): Promise<void> {
    return this.#inTurn(() => this.#ejected(event));
  }

  async #ejected(event: DeviceEvent): Promise<void> {
    const device = [...this.#present.values()].find(({ plan }) => plan.slot === event.slot);
    if (device === undefined) return;
    const { name, slot } = device.plan;
    this.#present.delete(name);
    this.#entries.delete(name);
    const left = this.#leaving.get(slot!);
    this.#leaving.delete(slot!);
    try {
      await this.#take(device);
      left?.resolve();
    } catch (error) {
      if (left === undefined) throw error;
      left.reject(error);
    }
  }

  /** Frees what devices have open; no thread uses them any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#turn;
    for (const { promise, reject } of this.#leaving.values()) {
      promise.catch(() => {}); // whoever waited may be gone
      reject(new VmError("The VM has ended"));
    }
    const devices = [...this.#present.values()];
    this.#present.clear();
    for (const { resources } of devices) await resources[Symbol.asyncDispose]();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {}); // it is whoever asked that hears of it
    return done;
  }

  async #take({ plan: { name }, slice, resources }: MachineDevice): Promise<void> {
    await this.#machine.change({ kind: "detach", name });
    this.#machine.devices.detach(name);
    this.#machine.layout.remove(slice);
    await resources[Symbol.asyncDispose]();
  }

  #named({ type, name, module, ...config }: DeviceEntry): NamedDevice {
    let number = 0;
    while (this.#present.has(`${type}${number}`)) number++;
    const own = name ?? `${type}${number}`;
    if (this.#present.has(own)) throw new DocumentError(`There is a device ${own} already`);
    return { name: own, type, config, ...(typeof module === "string" ? { module } : {}) };
  }
}
