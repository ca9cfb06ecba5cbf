/**
 * MSI-X (PCI 3.0 §6.8.2): a function's table of messages, its pending bits, and the memory BAR
 * behind which a guest finds both.
 *
 * @module
 */
import type { IoHandler, Width } from "../device.ts";
import {
  At,
  Command,
  MSIX_CONTROL,
  MSIX_VECTORS,
  MsixControl,
  MsixEntry,
} from "./configuration_space.ts";
import type { PciBar } from "./function.ts";

/** Bytes of the BAR: a page, so that a guest can map it by itself. */
const MSIX_BAR_SIZE = 4096;
/** Where in the BAR the pending bits are; the table is at 0. */
export const PENDING_OFFSET = 0x800;

const { message_address, message_upper_address, message_data, vector_control } = MsixEntry.offsets;
const PENDING_SIZE = MSIX_VECTORS / 8;
/** Vector control: the vector is masked. The other bits are reserved (§6.8.2.9). */
const MASKED = 1 << 0;

/** Sends an MSI-X message. */
export type SignalMsi = (addressLow: number, addressHigh: number, data: number) => void;

/** One function's MSI-X as one thread sees it; everything is called under the device's lock. */
export class Msix implements IoHandler {
  /** How many vectors there are; 0 without MSI-X. */
  vectors = 0;
  readonly #view: DataView;
  readonly #signalMsi: SignalMsi;

  /**
   * @param view The function's state
   * @param signalMsi Sends a message
   */
  constructor(view: DataView, signalMsi: SignalMsi) {
    this.#view = view;
    this.#signalMsi = signalMsi;
  }

  /** Whether the guest has switched it on. */
  get enabled(): boolean {
    return this.vectors !== 0 &&
      (this.#view.getUint16(MSIX_CONTROL, true) & MsixControl.ENABLE) !== 0;
  }

  /**
   * Table and pending bits as a BAR.
   *
   * @param index Its register
   * @returns The BAR
   */
  bar(index: number): PciBar {
    return { index, kind: "mem32", size: MSIX_BAR_SIZE, maxWidth: 4, handler: this };
  }

  /** Power-on values: nothing pending, every vector masked (§6.8.2.9). */
  reset(): void {
    for (let at = 0; at < MSIX_VECTORS * MsixEntry.size; at += 4) {
      this.#view.setUint32(
        At.msix_table + at,
        at % MsixEntry.size === vector_control ? MASKED : 0,
        true,
      );
    }
    for (let at = 0; at < PENDING_SIZE; at += 4) {
      this.#view.setUint32(At.msix_pending + at, 0, true);
    }
  }

  /** Registers were written from outside: bits that nobody can set are not. */
  restored(): void {
    const { size } = MsixEntry;
    for (let at = 0; at < this.vectors * size; at++) {
      const byte = this.#view.getUint8(At.msix_table + at);
      this.#view.setUint8(At.msix_table + at, byte & writableBits(at % size));
    }
  }

  /**
   * Sends a vector's message, or remembers it while it is masked, or the function is no bus master.
   *
   * @param vector Which; one that there isn't is ignored
   */
  signal(vector: number): void {
    if (!(vector >= 0 && vector < this.vectors) || !this.enabled) return;
    if (!this.#busMaster || this.#functionMasked || this.#masked(vector)) {
      this.#setPending(vector, true);
    } else {
      this.#send(vector);
    }
  }

  /** Sends what is pending and masked no more: after each write that may have unmasked something. */
  deliverPending(): void {
    if (!this.enabled || this.#functionMasked || !this.#busMaster) return;
    for (let first = 0; first < this.vectors; first += 32) {
      if (this.#view.getUint32(At.msix_pending + first / 8, true) === 0) continue;
      const end = Math.min(first + 32, this.vectors);
      for (let vector = first; vector < end; vector++) {
        if (!this.#pending(vector) || this.#masked(vector)) continue;
        this.#setPending(vector, false);
        this.#send(vector);
      }
    }
  }

  read(offset: number, width: Width): number {
    let value = 0;
    for (let i = 0; i < width; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, width: Width, value: number): void {
    // What is written to the pending bits is undefined (§6.8.2.10), and ignored here.
    const end = Math.min(offset + width, this.vectors * MsixEntry.size);
    for (let at = offset; at < end; at++) {
      const byte = (value >>> (8 * (at - offset))) & writableBits(at % MsixEntry.size);
      this.#view.setUint8(At.msix_table + at, byte);
    }
    if (offset < end) this.deliverPending();
  }

  #readByte(offset: number): number {
    if (offset < this.vectors * MsixEntry.size) return this.#view.getUint8(At.msix_table + offset);
    const pending = offset - PENDING_OFFSET;
    if (pending >= 0 && pending < PENDING_SIZE) {
      return this.#view.getUint8(At.msix_pending + pending);
    }
    return 0;
  }

  get #busMaster(): boolean {
    return (this.#view.getUint16(At.command, true) & Command.BUS_MASTER) !== 0;
  }

  get #functionMasked(): boolean {
    return (this.#view.getUint16(MSIX_CONTROL, true) & MsixControl.FUNCTION_MASK) !== 0;
  }

  #masked(vector: number): boolean {
    return (this.#view.getUint32(entryAt(vector) + vector_control, true) & MASKED) !== 0;
  }

  #pending(vector: number): boolean {
    const word = this.#view.getUint32(pendingAt(vector), true);
    return (word & (1 << (vector & 31))) !== 0;
  }

  #setPending(vector: number, pending: boolean): void {
    const at = pendingAt(vector);
    const word = this.#view.getUint32(at, true);
    const bit = 1 << (vector & 31);
    this.#view.setUint32(at, pending ? word | bit : word & ~bit, true);
  }

  #send(vector: number): void {
    const at = entryAt(vector);
    this.#signalMsi(
      this.#view.getUint32(at + message_address, true),
      this.#view.getUint32(at + message_upper_address, true),
      this.#view.getUint32(at + message_data, true),
    );
  }
}

function entryAt(vector: number): number {
  return At.msix_table + MsixEntry.size * vector;
}

function pendingAt(vector: number): number {
  return At.msix_pending + 4 * (vector >> 5);
}

/** Bits of a table entry's byte that can be written; an address is a multiple of 4 (§6.8.2.7). */
function writableBits(at: number): number {
  if (at === message_address) return 0xfc;
  if (at < vector_control) return 0xff;
  return at === vector_control ? MASKED : 0;
}
