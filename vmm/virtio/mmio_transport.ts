/**
 * virtio over MMIO (virtio 1.2 §4.2), version 2.
 *
 * @module
 */
import type {
  Device,
  DeviceContext,
  DeviceType,
  InterruptLine,
  IoHandler,
  Width,
} from "../device.ts";
import { writeConfigSpace } from "./config_space.ts";
import { Isr } from "./transport_state.ts";
import { type TransportBus, VirtioTransport } from "./transport.ts";
import { transportDevice } from "./transport_device.ts";
import { transportType } from "./transport_type.ts";
import type { VirtioDeviceType } from "./virtio_device.ts";

/** Bytes of a device's registers: a page. */
export const VIRTIO_MMIO_SIZE = 0x1000;

/** Offsets of the registers (§4.2.2, table 4.1). */
export const Mmio = {
  MAGIC_VALUE: 0x000,
  VERSION: 0x004,
  DEVICE_ID: 0x008,
  VENDOR_ID: 0x00c,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SEL: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SEL: 0x024,
  QUEUE_SEL: 0x030,
  QUEUE_NUM_MAX: 0x034,
  QUEUE_NUM: 0x038,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  QUEUE_DESC_LOW: 0x080,
  QUEUE_DESC_HIGH: 0x084,
  QUEUE_DRIVER_LOW: 0x090,
  QUEUE_DRIVER_HIGH: 0x094,
  QUEUE_DEVICE_LOW: 0x0a0,
  QUEUE_DEVICE_HIGH: 0x0a4,
  QUEUE_RESET: 0x0c0,
  CONFIG_GENERATION: 0x0fc,
  CONFIG: 0x100,
} as const;

/** "virt" */
const MAGIC = 0x7472_6976;
const VERSION = 2;
/** "hvsh" */
const VENDOR = 0x6873_7668;
const NOTHING = 0xffff_ffff;

/** Where the machine has put a device. */
interface MmioPlace {
  /** Guest-physical address. */
  readonly base: number;
  /** GSI. */
  readonly irq: number;
}

/**
 * A virtio device on a machine without PCI: its entry of the document gets `mmio`, a
 * base address and an interrupt.
 *
 * @param type The device
 * @returns The same for a machine
 */
export function virtioMmio(type: VirtioDeviceType): DeviceType {
  return transportType(type, (config, context) => new MmioTransport(type, config, context).device);
}

class MmioTransport implements TransportBus, IoHandler {
  /** For the machine. */
  readonly device: Device;
  readonly #transport: VirtioTransport;
  readonly #id: number;
  readonly #base: number;
  readonly #line: InterruptLine;

  constructor(type: VirtioDeviceType, config: { mmio: MmioPlace }, context: DeviceContext) {
    const { base, irq } = config.mmio;
    this.#id = type.virtio;
    this.#base = base;
    this.#line = context.interrupt(irq);
    this.#transport = new VirtioTransport(type, config, context, this);
    this.device = transportDevice(this.#transport, {
      ranges: [{ space: "mmio", base, size: VIRTIO_MMIO_SIZE, maxWidth: 4, handler: this }],
    });
  }

  read(offset: number, width: Width): number {
    if (offset >= Mmio.CONFIG) return this.#transport.readConfig(offset - Mmio.CONFIG, width);
    // §4.2.2.2: registers are read and written in 32 aligned bits.
    return width === 4 ? this.#readRegister(offset) : 2 ** (8 * width) - 1;
  }

  write(offset: number, width: Width, value: number): void {
    const transport = this.#transport;
    // Until a reset is complete there is nothing to set; the driver waits for status 0.
    if (transport.state.resetting !== 0 && offset !== Mmio.STATUS) return;
    transport.guard(() => {
      if (offset >= Mmio.CONFIG) {
        writeConfigSpace(transport.device, offset - Mmio.CONFIG, width, value);
      } else if (width === 4) this.#writeRegister(offset, value);
    });
  }

  interruptQueue(): void {
    this.#raise(Isr.QUEUE);
  }

  interruptConfig(): void {
    this.#raise(Isr.CONFIG);
  }

  lowerInterrupt(): void {
    this.#line.set(false);
  }

  raiseInterrupt(): void {
    this.#line.set(true);
  }

  connect(queue: number): void {
    this.#transport.event(queue).attach("mmio", this.#base + Mmio.QUEUE_NOTIFY, 4, queue);
  }

  disconnect(queue: number): void {
    this.#transport.event(queue).detach("mmio", this.#base + Mmio.QUEUE_NOTIFY, 4, queue);
  }

  #raise(bit: number): void {
    const { state } = this.#transport;
    const old = state.isr;
    state.isr = old | bit;
    if (old === 0) this.raiseInterrupt();
  }

  #readRegister(offset: number): number {
    const transport = this.#transport;
    const { state, selected } = transport;
    switch (offset) {
      case Mmio.MAGIC_VALUE:
        return MAGIC;
      case Mmio.VERSION:
        return VERSION;
      case Mmio.DEVICE_ID:
        return this.#id;
      case Mmio.VENDOR_ID:
        return VENDOR;
      case Mmio.DEVICE_FEATURES:
        return transport.offered.word(state.device_feature_select);
      case Mmio.QUEUE_NUM_MAX:
        return selected.most;
      case Mmio.QUEUE_READY:
        return selected.enabled ? 1 : 0;
      case Mmio.INTERRUPT_STATUS:
        return state.isr;
      case Mmio.STATUS:
        return state.status;
      case Mmio.QUEUE_RESET:
        return 0; // VIRTIO_F_RING_RESET is not offered
      case Mmio.CONFIG_GENERATION:
        return state.config_generation;
      default:
        return NOTHING; // shared memory regions that there aren't have this length (§4.2.2)
    }
  }

  #writeRegister(offset: number, value: number): void {
    const transport = this.#transport;
    const { state, selected } = transport;
    switch (offset) {
      case Mmio.DEVICE_FEATURES_SEL:
        state.device_feature_select = value;
        break;
      case Mmio.DRIVER_FEATURES_SEL:
        state.driver_feature_select = value;
        break;
      case Mmio.DRIVER_FEATURES:
        transport.writeDriverFeatures(value);
        break;
      case Mmio.QUEUE_SEL:
        state.queue_select = value;
        break;
      case Mmio.QUEUE_NUM:
        selected.size = Math.min(value, 0xffff);
        break;
      case Mmio.QUEUE_READY:
        if ((value & 1) !== 0) selected.enable();
        else selected.disable();
        break;
      case Mmio.QUEUE_NOTIFY:
        transport.notify(value);
        break;
      case Mmio.INTERRUPT_ACK:
        this.#acknowledge(value);
        break;
      case Mmio.STATUS:
        transport.writeStatus(value & 0xff);
        break;
      case Mmio.QUEUE_DESC_LOW:
        selected.writeAddress(0, value);
        break;
      case Mmio.QUEUE_DESC_HIGH:
        selected.writeAddress(1, value);
        break;
      case Mmio.QUEUE_DRIVER_LOW:
        selected.writeAddress(2, value);
        break;
      case Mmio.QUEUE_DRIVER_HIGH:
        selected.writeAddress(3, value);
        break;
      case Mmio.QUEUE_DEVICE_LOW:
        selected.writeAddress(4, value);
        break;
      case Mmio.QUEUE_DEVICE_HIGH:
        selected.writeAddress(5, value);
        break;
    }
  }

  #acknowledge(bits: number): void {
    const { state } = this.#transport;
    const old = state.isr;
    state.isr = old & ~bits;
    if (old !== 0 && state.isr === 0) this.lowerInterrupt();
  }
}
