/**
 * A virtio transport as a guest's driver reaches it: finds the structures as drivers do, and drives
 * both transports by the same verbs.
 *
 * @module
 */
import type { Device, IoHandler, Width } from "../vmm/device.ts";
import { PciCap, PciCapType } from "../vmm/virtio/pci_capabilities.ts";
import { Common } from "../vmm/virtio/pci_common.ts";
import { Mmio } from "../vmm/virtio/mmio_transport.ts";

/** Where a queue's rings are. */
export interface QueuePlace {
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
}

/** A device's registers. */
export interface VirtioRegisters {
  /** The device's number (§5). */
  readonly deviceId: number;
  status: number;
  /** The features that the device offers. */
  readonly offered: bigint;
  /** The features that the driver chooses. */
  set chosen(features: bigint);
  /** How many queues there are. */
  readonly queueCount: number;
  /** The largest size of a queue. */
  queueMax(queue: number): number;
  /** Sets a queue up and enables it. */
  enableQueue(queue: number, place: QueuePlace): void;
  /** Whether a queue is enabled. */
  queueEnabled(queue: number): boolean;
  /** Gives queues and configuration changes a vector each: 1 and up, and 0. */
  useVectors(): void;
  /** Where and how a driver notifies of a queue. */
  notification(queue: number): { offset: number; width: Width; value: number };
  /** The interrupt status; taken by reading it. */
  takeIsr(): number;
  /** Bits 0 to 7 of the generation of the configuration. */
  readonly generation: number;
  readConfig(offset: number, width: Width): number;
  writeConfig(offset: number, width: Width, value: number): void;
  /** All of it, for what no driver would do: offsets from the start of registers, or of the BAR. */
  readonly raw: IoHandler;
  /** How many bytes of {@linkcode raw} there are. */
  readonly size: number;
}

function halves(value: number): [low: number, high: number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}

/** virtio over PCI. */
export class PciRegisters implements VirtioRegisters {
  readonly deviceId: number;
  readonly raw: IoHandler;
  readonly size: number;
  readonly #at = new Map<number, number>();
  readonly #notifyMultiplier: number;
  readonly #common: number;

  /**
   * @param device The device
   */
  constructor(device: Device) {
    const { pci } = device;
    const bar = pci!.bars[0]!;
    this.deviceId = pci!.device - 0x1040;
    this.raw = bar.handler;
    this.size = bar.size;
    let multiplier = 0;
    for (const body of pci!.vendorCapabilities!) {
      const view = new DataView(body.buffer, body.byteOffset, body.length);
      const type = view.getUint8(1);
      this.#at.set(type, view.getUint32(PciCap.OFFSET - 2, true));
      if (type === PciCapType.NOTIFY) {
        multiplier = view.getUint32(PciCap.NOTIFY_MULTIPLIER - 2, true);
      }
    }
    this.#notifyMultiplier = multiplier;
    this.#common = this.#at.get(PciCapType.COMMON)!;
  }

  get status(): number {
    return this.#get(Common.DEVICE_STATUS, 1);
  }
  set status(status: number) {
    this.#set(Common.DEVICE_STATUS, 1, status);
  }

  get offered(): bigint {
    return [1, 0].reduce((bits, word) => {
      this.#set(Common.DEVICE_FEATURE_SELECT, 4, word);
      return (bits << 32n) + BigInt(this.#get(Common.DEVICE_FEATURE, 4));
    }, 0n);
  }

  set chosen(features: bigint) {
    for (const word of [0, 1]) {
      this.#set(Common.DRIVER_FEATURE_SELECT, 4, word);
      this.#set(Common.DRIVER_FEATURE, 4, Number((features >> BigInt(32 * word)) & 0xffff_ffffn));
    }
  }

  get queueCount(): number {
    return this.#get(Common.NUM_QUEUES, 2);
  }

  queueMax(queue: number): number {
    this.#select(queue);
    return this.#get(Common.QUEUE_SIZE, 2);
  }

  enableQueue(queue: number, place: QueuePlace): void {
    this.#select(queue);
    this.#set(Common.QUEUE_SIZE, 2, place.size);
    for (
      const [register, address] of [
        [Common.QUEUE_DESC, place.desc],
        [Common.QUEUE_DRIVER, place.avail],
        [Common.QUEUE_DEVICE, place.used],
      ] as const
    ) {
      halves(address).forEach((half, i) => this.#set(register + 4 * i, 4, half));
    }
    this.#set(Common.QUEUE_ENABLE, 2, 1);
  }

  queueEnabled(queue: number): boolean {
    this.#select(queue);
    return this.#get(Common.QUEUE_ENABLE, 2) === 1;
  }

  useVectors(): void {
    this.#set(Common.CONFIG_MSIX_VECTOR, 2, 0);
    for (let queue = 0; queue < this.queueCount; queue++) {
      this.#select(queue);
      this.#set(Common.QUEUE_MSIX_VECTOR, 2, queue + 1);
    }
  }

  notification(queue: number): { offset: number; width: Width; value: number } {
    this.#select(queue);
    const off = this.#get(Common.QUEUE_NOTIFY_OFF, 2);
    const offset = this.#at.get(PciCapType.NOTIFY)! + off * this.#notifyMultiplier;
    return { offset, width: 2, value: queue };
  }

  takeIsr(): number {
    return this.raw.read(this.#at.get(PciCapType.ISR)!, 1);
  }

  get generation(): number {
    return this.#get(Common.CONFIG_GENERATION, 1);
  }

  readConfig(offset: number, width: Width): number {
    return this.raw.read(this.#at.get(PciCapType.DEVICE)! + offset, width);
  }

  writeConfig(offset: number, width: Width, value: number): void {
    this.raw.write(this.#at.get(PciCapType.DEVICE)! + offset, width, value);
  }

  #select(queue: number): void {
    this.#set(Common.QUEUE_SELECT, 2, queue);
  }

  #get(register: number, width: Width): number {
    return this.raw.read(this.#common + register, width);
  }

  #set(register: number, width: Width, value: number): void {
    this.raw.write(this.#common + register, width, value);
  }
}

/** virtio over MMIO. */
export class MmioRegisters implements VirtioRegisters {
  readonly raw: IoHandler;
  readonly size: number;

  /**
   * @param device The device
   */
  constructor(device: Device) {
    const range = device.ranges[0]!;
    this.raw = range.handler;
    this.size = range.size;
  }

  get deviceId(): number {
    return this.#get(Mmio.DEVICE_ID);
  }

  get status(): number {
    return this.#get(Mmio.STATUS);
  }
  set status(status: number) {
    this.#set(Mmio.STATUS, status);
  }

  get offered(): bigint {
    return [1, 0].reduce((bits, word) => {
      this.#set(Mmio.DEVICE_FEATURES_SEL, word);
      return (bits << 32n) + BigInt(this.#get(Mmio.DEVICE_FEATURES));
    }, 0n);
  }

  set chosen(features: bigint) {
    for (const word of [0, 1]) {
      this.#set(Mmio.DRIVER_FEATURES_SEL, word);
      this.#set(Mmio.DRIVER_FEATURES, Number((features >> BigInt(32 * word)) & 0xffff_ffffn));
    }
  }

  get queueCount(): number {
    let count = 0;
    while (this.queueMax(count) !== 0) count++;
    return count;
  }

  queueMax(queue: number): number {
    this.#set(Mmio.QUEUE_SEL, queue);
    return this.#get(Mmio.QUEUE_NUM_MAX);
  }

  enableQueue(queue: number, place: QueuePlace): void {
    this.#set(Mmio.QUEUE_SEL, queue);
    this.#set(Mmio.QUEUE_NUM, place.size);
    for (
      const [register, address] of [
        [Mmio.QUEUE_DESC_LOW, place.desc],
        [Mmio.QUEUE_DRIVER_LOW, place.avail],
        [Mmio.QUEUE_DEVICE_LOW, place.used],
      ] as const
    ) {
      halves(address).forEach((half, i) => this.#set(register + 4 * i, half));
    }
    this.#set(Mmio.QUEUE_READY, 1);
  }

  queueEnabled(queue: number): boolean {
    this.#set(Mmio.QUEUE_SEL, queue);
    return this.#get(Mmio.QUEUE_READY) === 1;
  }

  useVectors(): void {
    throw new TypeError("virtio over MMIO has one interrupt");
  }

  notification(queue: number): { offset: number; width: Width; value: number } {
    return { offset: Mmio.QUEUE_NOTIFY, width: 4, value: queue };
  }

  takeIsr(): number {
    const isr = this.#get(Mmio.INTERRUPT_STATUS);
    if (isr !== 0) this.#set(Mmio.INTERRUPT_ACK, isr);
    return isr;
  }

  get generation(): number {
    return this.#get(Mmio.CONFIG_GENERATION) & 0xff;
  }

  readConfig(offset: number, width: Width): number {
    return this.raw.read(Mmio.CONFIG + offset, width);
  }

  writeConfig(offset: number, width: Width, value: number): void {
    this.raw.write(Mmio.CONFIG + offset, width, value);
  }

  #get(register: number): number {
    return this.raw.read(register, 4);
  }

  #set(register: number, value: number): void {
    this.raw.write(register, 4, value);
  }
}
