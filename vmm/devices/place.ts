/**
 * Gives planned devices what is particular to this machine: a slot of the PCI bus or an address, what
 * `prepare` opens, eventfds, an I/O thread.
 *
 * @module
 */
import * as v from "valibot";
import { EventFd } from "../../ffi/eventfd.ts";
import { DocumentError } from "../../ffi/errors.ts";
import type { DeviceNeeds } from "../arena_layout.ts";
import { Address, Irq } from "../board.ts";
import type { DevicePlan, DeviceType, Transport } from "../device.ts";
import type { EventSink } from "../device_set.ts";
import { PciFunctionState } from "../pci/bus.ts";
import type { NamedDevice } from "./plan.ts";
import { loadDeviceType } from "./registry.ts";

/** Slots of bus 0; the host bridge has the first. */
const SLOTS = 32;
const PAGE = 4096;
/** A device that no I/O thread serves. */
const NO_THREAD = -1;

/** A device of this machine. */
export interface PlacedPlan {
  readonly plan: DevicePlan;
  readonly type: DeviceType;
  /** What it has open; to be disposed when no thread uses the device any more. */
  readonly resources: AsyncDisposable;
}

/** What a machine's devices share. */
export interface PlacerOptions {
  /** Whether there is a PCI bus. */
  readonly pci: boolean;
  /** Whether there are interrupt controllers. */
  readonly irqchip: boolean;
  /** How many I/O threads there are. */
  readonly ioThreads: number;
  /** The VM's name, if it has one. */
  readonly vm?: string;
  /** Whether another machine still uses what devices are to open. */
  readonly arriving: boolean;
  /** Told of what happens to a device. */
  readonly event: EventSink;
}

/** A planned device with the code of its kind. */
export interface LoadedDevice {
  readonly device: NamedDevice;
  readonly type: DeviceType;
  /** How it is reached, if it is a virtio device. */
  readonly transport: Transport | undefined;
}

/**
 * Loads the code of a planned device's kind.
 *
 * @param device The device
 * @returns The same with its kind
 * @throws {DocumentError} If there is no such kind, or it has no such transport
 */
export async function loadDevice(device: NamedDevice): Promise<LoadedDevice> {
  const { transport = "pci" } = device.config;
  if (transport !== "pci" && transport !== "mmio") {
    throw new DocumentError(
      `VM document, ${device.name}: "transport" is ${JSON.stringify(transport)}`,
      { hint: 'it is "pci" or "mmio"' },
    );
  }
  const type = await loadDeviceType(device.type, device.module, transport);
  return { device, type, transport: type.virtio === undefined ? undefined : transport };
}

/** Gives places to the devices of one machine. */
export class Placer {
  readonly #options: PlacerOptions;
  readonly #slots = new Set<number>([0]);
  #mmio = 0;
  #io = 0;

  /** @param options What the devices share */
  constructor(options: PlacerOptions) {
    this.#options = options;
  }

  /**
   * Prepares a device.
   *
   * @param loaded The device
   * @returns The device as threads open it
   * @throws {DocumentError} If its entry is not what its kind wants, or there is no place for it
   * @throws {HostError} If the host can't give what it needs
   */
  async place(loaded: LoadedDevice): Promise<PlacedPlan> {
    const { device: { name, type: word, module, config: entry }, type, transport } = loaded;
    await using stack = new AsyncDisposableStack();
    const checked = checkConfig(name, type, entry);
    const slot = type.bus === "pci" ? this.#takeSlot(name, checked.slot) : undefined;
    if (slot !== undefined) stack.defer(() => void this.#slots.delete(slot));
    const mmio = transport === "mmio" ? { mmio: this.#takeMmio(name) } : {};
    const prepared = await type.prepare?.({ ...checked, ...mmio }, {
      name,
      ...(this.#options.vm === undefined ? {} : { vm: this.#options.vm }),
      arriving: this.#options.arriving,
      event: (event) => this.#options.event(name, event),
    });
    if (prepared !== undefined) stack.use(prepared);
    const config = prepared?.config ?? { ...checked, ...mmio };
    const eventFds = Array.from(
      { length: type.events?.(config) ?? 0 },
      () => stack.use(new EventFd()).fd,
    );
    const served = slot !== undefined || transport !== undefined;
    const plan = {
      name,
      type: word,
      ...(module === undefined ? {} : { module }),
      ...(transport === undefined ? {} : { transport }),
      ...(slot === undefined ? {} : { slot }),
      config,
      eventFds,
      io: served ? this.#io++ % this.#options.ioThreads : NO_THREAD,
    };
    return { plan, type, resources: stack.move() };
  }

  #takeSlot(name: string, wanted: unknown): number {
    if (!this.#options.pci) {
      throw this.#noBus(name);
    }
    const free = Array.from({ length: SLOTS }, (_, slot) => slot).filter((n) =>
      !this.#slots.has(n)
    );
    const slot = wanted ?? free[0];
    if (slot === undefined) {
      throw new DocumentError(
        `VM document, ${name}: all ${SLOTS - 1} slots of the PCI bus are taken`,
      );
    }
    if (!free.includes(slot as number)) {
      throw new DocumentError(`VM document, ${name}: "slot" is ${JSON.stringify(wanted)}`, {
        hint: `a free slot of the PCI bus, ${free.join(" ")}`,
      });
    }
    this.#slots.add(slot as number);
    return slot as number;
  }

  /** That there is none somebody has said, or it follows from what the machine was started with. */
  #noBus(name: string): DocumentError {
    const lacks = this.#options.irqchip
      ? "has no PCI bus"
      : "has neither a PCI bus nor interrupt controllers";
    const controllers = this.#options.irqchip ? "" : ", and with `hvsh cpu --irqchip yes`";
    return new DocumentError(`VM document, ${name}: the machine ${lacks}`, {
      hint: `start it with "pci": true${controllers}`,
    });
  }

  #takeMmio(name: string): { base: number; irq: number } {
    const index = this.#mmio++;
    const irq = Irq.VIRTIO_MMIO[index];
    if (irq === undefined) {
      throw new DocumentError(
        `VM document, ${name}: there are ${Irq.VIRTIO_MMIO.length} virtio-mmio devices at most`,
        { hint: 'leave "transport" out: the PCI bus has more room' },
      );
    }
    return { base: Address.VIRTIO_MMIO + index * PAGE, irq };
  }
}

/**
 * What a device needs of the arena.
 *
 * @param plan The device
 * @param type Its kind
 */
export function deviceNeeds({ slot }: DevicePlan, { state }: DeviceType): DeviceNeeds {
  return { state: state.size, pci: slot === undefined ? 0 : PciFunctionState.size };
}

function checkConfig(
  name: string,
  { schema }: DeviceType,
  entry: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (schema === undefined) return entry;
  const result = v.safeParse(schema, entry, { abortEarly: true });
  if (result.success) return result.output as Readonly<Record<string, unknown>>;
  const [issue] = result.issues;
  const key = v.getDotPath(issue);
  throw new DocumentError(
    `VM document, ${name}${key === null ? "" : `, ${key}`}: ${issue.message}`,
  );
}
