/**
 * What a PCI function is to the bus that it sits on.
 *
 * @module
 */
import type { IoHandler, Width } from "../device.ts";

/** A base address register and what lies behind it. */
export interface PciBar {
  /** Which register, 0 to 5; a 64-bit one takes the next as well. */
  readonly index: number;
  /** `io` ports, or memory with an address of 32 or 64 bits. */
  readonly kind: "io" | "mem32" | "mem64";
  /** Bytes, a power of two: at least 4 ports or 16 bytes of memory (PCI 3.0 §6.2.5.1). */
  readonly size: number;
  /** Whether reads have no side effects. Default false. */
  readonly prefetchable?: boolean;
  /** The widest access the handler takes; the bus splits wider ones, low address first. */
  readonly maxWidth: Width;
  /** Who answers; offsets start at the BAR's base. */
  readonly handler: IoHandler;
}

/** A PCI function: constant identification, BARs and capabilities. */
export interface PciFunction {
  /** Vendor ID. */
  readonly vendor: number;
  /** Device ID. */
  readonly device: number;
  /** Revision ID. Default 0. */
  readonly revision?: number;
  /** Class code, 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  /** Subsystem vendor ID. Default 0. */
  readonly subsystemVendor?: number;
  /** Subsystem ID. Default 0. */
  readonly subsystem?: number;
  /** Its BARs. */
  readonly bars: readonly PciBar[];
  /**
   * MSI-X: how many vectors, 1 to 2048, and a BAR register that no other entry uses; the bus makes
   * table and pending bits behind it. Left out, the function has INTx only.
   */
  readonly msix?: { readonly vectors: number; readonly bar: number };
  /** Whether it has an interrupt pin (INTA). Default true. */
  readonly intx?: boolean;
  /**
   * Bodies of vendor-specific capabilities (ID 0x09), each from its third byte on: the ID and the
   * next pointer are the bus's work, and so is a length byte at the start, which is part of the body.
   */
  readonly vendorCapabilities?: readonly Uint8Array[];
  /**
   * Reads of a vendor capability's bytes, for one that is a window (virtio's VIRTIO_PCI_CAP_PCI_CFG).
   * Called before the body's own bytes are used; undefined leaves them as they are.
   *
   * @param capability Index into {@linkcode vendorCapabilities}
   * @param offset Bytes from the start of the capability, its ID being 0
   * @param width 1, 2 or 4
   */
  readCapability?(capability: number, offset: number, width: Width): number | undefined;
  /** Writes to a vendor capability's bytes; without it they can't be written. */
  writeCapability?(capability: number, offset: number, width: Width, value: number): void;
  /**
   * Told, under the device's lock and in whichever thread wrote it, that a BAR has got an address or
   * lost it (moved, decoding off, reset). ioeventfds follow it.
   *
   * @param index The BAR
   * @param base Its address or first port; undefined while it is not decoded
   */
  decoded?(index: number, base: number | undefined): void;
  /**
   * Told, in the same way, that the guest has cleared the bus master bit, which it had set: the function
   * is to leave memory alone (PCI 3.0 §6.2.2). One that never was a bus master is not told.
   */
  unmastered?(): void;
}

/** A function's interrupts, in each thread that runs it; called under the device's lock. */
export interface PciInterrupts {
  /** Whether the guest has switched to MSI-X. */
  readonly msixEnabled: boolean;
  /**
   * Sends an MSI-X message, or sets its pending bit while it is masked, or bus mastering is off. Does
   * nothing while MSI-X is off, or for a vector that there isn't.
   *
   * @param vector 0 to vectors - 1
   */
  signal(vector: number): void;
  /**
   * Drives INTA; what the guest sees follows the command register's interrupt disable bit.
   *
   * @param level Active or not
   */
  setIntx(level: boolean): void;
}
