/**
 * virtio over PCI (virtio 1.2 §4.1), modern devices only.
 *
 *     BAR 0  common configuration, ISR, device configuration, notifications: a page each
 *     BAR 1  MSI-X: vector 0 and up as the driver wishes, one for each queue and the configuration
 *
 * @module
 */
import type { Device, DeviceContext, DeviceType, IoHandler, Width } from "../device.ts";
import type { PciFunction, PciInterrupts } from "../pci/function.ts";
import { writeConfigSpace } from "./config_space.ts";
import {
  MSIX_BAR,
  NOTIFY_MULTIPLIER,
  PCI_CFG_CAPABILITY,
  PciCap,
  Structure,
  STRUCTURES_BAR,
  STRUCTURES_SIZE,
  virtioCapabilities,
} from "./pci_capabilities.ts";
import { PciCommon } from "./pci_common.ts";
import { queueWord } from "./queue_state.ts";
import { type TransportBus, VirtioTransport } from "./transport.ts";
import { Isr } from "./transport_state.ts";
import { transportDevice } from "./transport_device.ts";
import { transportType } from "./transport_type.ts";
import type { VirtioDeviceType } from "./virtio_device.ts";

const VENDOR = 0x1af4;
/** A virtio device's ID is this and its number (§4.1.2). */
const FIRST_DEVICE = 0x1040;
/** Modern drivers look for 1 and up, and for a subsystem of 0x40 and up (§4.1.2.1). */
const REVISION = 1;
const SUBSYSTEM = 0x1100;
/** What a driver writes to notify is a queue's number, in 16 bits (§4.1.5.2). */
const NOTIFY_WIDTH = 2;
const PAGE = 0x1000;
const VECTOR = queueWord("vector");

/**
 * A virtio device on the PCI bus.
 *
 * @param type The device
 * @returns The same for a machine
 */
export function virtioPci(type: VirtioDeviceType): DeviceType {
  return {
    ...transportType(type, (config, context) => new PciTransport(type, config, context).device),
    bus: "pci",
  };
}

class PciTransport implements TransportBus, IoHandler {
  /** For the machine. */
  readonly device: Device;
  readonly #transport: VirtioTransport;
  readonly #interrupts: PciInterrupts;
  readonly #common: PciCommon;

  constructor(type: VirtioDeviceType, config: unknown, context: DeviceContext) {
    if (context.pci === undefined) throw new TypeError(`${context.name} is not on a PCI bus`);
    this.#interrupts = context.pci;
    this.#transport = new VirtioTransport(type, config, context, this);
    const vectors = this.#transport.queueCount + 1;
    this.#common = new PciCommon(this.#transport, vectors);
    this.device = transportDevice(this.#transport, {
      ranges: [],
      pci: this.#function(type, vectors),
    });
  }

  read(offset: number, width: Width): number {
    const within = offset % PAGE;
    switch (offset - within) {
      case Structure.COMMON:
        return this.#common.read(within, width);
      case Structure.ISR:
        return within === 0 ? this.#takeIsr() : ones(width);
      case Structure.DEVICE:
        return this.#transport.readConfig(within, width);
      default:
        return ones(width);
    }
  }

  write(offset: number, width: Width, value: number): void {
    const transport = this.#transport;
    // Until a reset is complete there is nothing to set; the driver waits for status 0.
    if (transport.state.resetting !== 0) return;
    const within = offset % PAGE;
    transport.guard(() => {
      switch (offset - within) {
        case Structure.COMMON:
          this.#common.write(within, width, value);
          break;
        case Structure.DEVICE:
          writeConfigSpace(transport.device, within, width, value);
          break;
        case Structure.NOTIFY:
          if (within % NOTIFY_MULTIPLIER === 0) transport.notify(within / NOTIFY_MULTIPLIER);
          break;
      }
    });
  }

  interruptQueue(queue: number): void {
    this.#interrupt(this.#transport.queueWords(queue)[VECTOR]!, Isr.QUEUE);
  }

  interruptConfig(): void {
    this.#interrupt(this.#transport.state.config_vector, Isr.CONFIG);
  }

  lowerInterrupt(): void {
    this.#interrupts.setIntx(false);
  }

  raiseInterrupt(): void {
    this.#interrupts.setIntx(true);
  }

  connect(queue: number): void {
    if (this.#transport.state.bar_decoded === 0) return;
    this.#transport.event(queue).attach("mmio", this.#notifyAddress(queue), NOTIFY_WIDTH);
  }

  disconnect(queue: number): void {
    if (this.#transport.state.bar_decoded === 0) return;
    this.#transport.event(queue).detach("mmio", this.#notifyAddress(queue), NOTIFY_WIDTH);
  }

  #function(type: VirtioDeviceType, vectors: number): PciFunction {
    const { queueCount, device } = this.#transport;
    return {
      vendor: VENDOR,
      device: FIRST_DEVICE + type.virtio,
      revision: REVISION,
      classCode: type.pciClass,
      subsystemVendor: VENDOR,
      subsystem: SUBSYSTEM,
      bars: [{
        index: STRUCTURES_BAR,
        kind: "mem32",
        size: STRUCTURES_SIZE,
        maxWidth: 4,
        handler: this,
      }],
      msix: { vectors, bar: MSIX_BAR },
      vendorCapabilities: virtioCapabilities(queueCount, device.configSize),
      readCapability: (capability, offset, width) =>
        capability === PCI_CFG_CAPABILITY ? this.#readWindow(offset, width) : undefined,
      writeCapability: (capability, offset, width, value) => {
        if (capability === PCI_CFG_CAPABILITY) this.#writeWindow(offset, width, value);
      },
      decoded: (bar, base) => {
        if (bar === STRUCTURES_BAR) this.#decoded(base);
      },
      unmastered: () => this.#transport.guard(() => this.#transport.cutOff()),
    };
  }

  #decoded(base: number | undefined): void {
    const transport = this.#transport;
    const { state } = transport;
    transport.disconnect();
    state.bar_decoded = base === undefined ? 0 : 1;
    state.bar_base = base ?? 0;
    transport.connect();
  }

  #notifyAddress(queue: number): number {
    return this.#transport.state.bar_base + Structure.NOTIFY + queue * NOTIFY_MULTIPLIER;
  }

  #interrupt(vector: number, bit: number): void {
    // A vector that there isn't, 0xffff among them, sends nothing (§4.1.5.1.3.1).
    if (this.#interrupts.msixEnabled) return this.#interrupts.signal(vector);
    const { state } = this.#transport;
    state.isr |= bit;
    this.raiseInterrupt();
  }

  /** §4.1.4.5: reading takes the bits, and the interrupt. */
  #takeIsr(): number {
    const { state } = this.#transport;
    const { isr } = state;
    if (isr !== 0) {
      state.isr = 0;
      this.#interrupts.setIntx(false);
    }
    return isr;
  }

  /** VIRTIO_PCI_CAP_PCI_CFG (§4.1.4.9): a window on the BAR for who can't map it. */
  #readWindow(offset: number, width: Width): number | undefined {
    const { state } = this.#transport;
    switch (offset) {
      case PciCap.BAR:
        return width === 1 ? state.window_bar : undefined;
      case PciCap.OFFSET:
        return width === 4 ? state.window_offset : undefined;
      case PciCap.LENGTH:
        return width === 4 ? state.window_length : undefined;
      case PciCap.CFG_DATA: {
        const length = this.#windowWidth();
        return length === undefined ? ones(width) : this.read(state.window_offset, length);
      }
      default:
        return undefined;
    }
  }

  #writeWindow(offset: number, width: Width, value: number): void {
    const { state } = this.#transport;
    switch (offset) {
      case PciCap.BAR:
        state.window_bar = value & 0xff;
        break;
      case PciCap.OFFSET:
        if (width === 4) state.window_offset = value;
        break;
      case PciCap.LENGTH:
        if (width === 4) state.window_length = value;
        break;
      case PciCap.CFG_DATA: {
        const length = this.#windowWidth();
        if (length === undefined) break;
        this.write(state.window_offset, length, value % 2 ** (8 * length));
      }
    }
  }

  /** How wide the window's access is; undefined if it is not one that a BAR takes. */
  #windowWidth(): Width | undefined {
    const { window_bar, window_offset, window_length } = this.#transport.state;
    if (window_bar !== STRUCTURES_BAR || window_offset >= STRUCTURES_SIZE) return undefined;
    if (window_length !== 1 && window_length !== 2 && window_length !== 4) return undefined;
    return window_offset % window_length === 0 ? window_length : undefined;
  }
}

function ones(width: Width): number {
  return 2 ** (8 * width) - 1;
}
