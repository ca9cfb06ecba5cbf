/**
 * A function's configuration space as it is at power-on, with its capabilities list, and which bits
 * of it a guest can write (PCI 3.0 §6.2, §6.7).
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { highMask, lowMask, registerOf, typeBits } from "./base_address.ts";
import {
  CapabilityId,
  Command,
  CONFIGURATION_SIZE,
  MSIX_CAPABILITY,
  MSIX_CONTROL,
  MSIX_VECTORS,
  MsixControl,
  PciFunctionState,
  Status,
} from "./configuration_space.ts";
import type { PciBar, PciFunction } from "./function.ts";
import { intxGsi } from "./intx.ts";
import { PENDING_OFFSET } from "./msix.ts";

const MSIX_LENGTH = 12;

/** Where a vendor-specific capability lies. */
export interface VendorCapability {
  /** Its first byte in configuration space. */
  readonly at: number;
  /** The byte behind its last. */
  readonly end: number;
}

/** What is constant about a function's configuration space. */
export interface ConfigurationLayout {
  /** Its bytes at power-on, BARs without an address. */
  readonly image: Uint8Array;
  /** The bits that a guest can write. */
  readonly writable: Uint8Array;
  /** The vendor-specific capabilities, in the function's order. */
  readonly vendorCapabilities: readonly VendorCapability[];
}

/**
 * Lays a function's configuration space out.
 *
 * @param owner The function's name, for messages
 * @param slot 0 to 31
 * @param fn What it is
 * @param bars Its BARs, that of MSI-X among them
 * @returns The layout
 * @throws {DocumentError} If its capabilities have no room, or it has more vectors than there can be
 */
export function layOutConfiguration(
  owner: string,
  slot: number,
  fn: PciFunction,
  bars: readonly PciBar[],
): ConfigurationLayout {
  const image = new PciFunctionState();
  const writable = new PciFunctionState();
  image.vendor_id = fn.vendor;
  image.device_id = fn.device;
  image.revision_id = fn.revision ?? 0;
  image.class_code = Uint8Array.of(fn.classCode, fn.classCode >> 8, fn.classCode >> 16);
  image.subsystem_vendor_id = fn.subsystemVendor ?? 0;
  image.subsystem_id = fn.subsystem ?? 0;
  if (fn.intx ?? true) {
    image.interrupt_pin = 1; // INTA
    image.interrupt_line = intxGsi(slot); // what firmware would say (§6.2.4)
  }
  const has = (io: boolean) => bars.some(({ kind }) => (kind === "io") === io);
  writable.command = (has(true) ? Command.IO_SPACE : 0) |
    (has(false) ? Command.MEMORY_SPACE : 0) |
    Command.BUS_MASTER | Command.PARITY_ERROR_RESPONSE | Command.SERR_ENABLE |
    (fn.intx ?? true ? Command.INTERRUPT_DISABLE : 0);
  writable.cache_line_size = 0xff;
  writable.interrupt_line = 0xff;
  for (const bar of bars) {
    const register = registerOf(bar);
    image.view.setUint32(register, typeBits(bar), true);
    writable.view.setUint32(register, lowMask(bar), true);
    if (bar.kind === "mem64") writable.view.setUint32(register + 4, highMask(bar), true);
  }
  const capabilities = new CapabilityList(owner, image);
  if (fn.msix !== undefined) {
    const { vectors, bar } = fn.msix;
    if (!(Number.isInteger(vectors) && vectors >= 1 && vectors <= MSIX_VECTORS)) {
      throw new DocumentError(
        `Device ${owner} wants ${vectors} MSI-X vectors: it can have 1 to ${MSIX_VECTORS}`,
      );
    }
    capabilities.add(CapabilityId.MSIX, MSIX_LENGTH);
    image.view.setUint16(MSIX_CONTROL, vectors - 1, true);
    image.view.setUint32(MSIX_CAPABILITY + 4, bar, true);
    image.view.setUint32(MSIX_CAPABILITY + 8, PENDING_OFFSET | bar, true);
    writable.view.setUint16(MSIX_CONTROL, MsixControl.ENABLE | MsixControl.FUNCTION_MASK, true);
  }
  const vendorCapabilities = (fn.vendorCapabilities ?? []).map((body) => {
    const at = capabilities.add(CapabilityId.VENDOR, 2 + body.length);
    image.bytes().set(body, at + 2);
    return { at, end: at + 2 + body.length };
  });
  return {
    image: image.bytes().subarray(0, CONFIGURATION_SIZE),
    writable: writable.bytes().subarray(0, CONFIGURATION_SIZE),
    vendorCapabilities,
  };
}

/** The linked list of capabilities, each on a double word's boundary (§6.7). */
class CapabilityList {
  readonly #owner: string;
  readonly #image: InstanceType<typeof PciFunctionState>;
  #pointer = PciFunctionState.offsets.capabilities_pointer;
  #end = PciFunctionState.offsets.capabilities;

  constructor(owner: string, image: InstanceType<typeof PciFunctionState>) {
    this.#owner = owner;
    this.#image = image;
  }

  /** Adds one at the list's end; gives its place. */
  add(id: number, length: number): number {
    const at = this.#end;
    if (at + length > CONFIGURATION_SIZE) {
      throw new DocumentError(
        `Device ${this.#owner}: its PCI capabilities end at byte ${
          at + length
        } of ${CONFIGURATION_SIZE}`,
      );
    }
    this.#image.status |= Status.CAPABILITIES_LIST;
    this.#image.view.setUint8(this.#pointer, at);
    this.#image.view.setUint8(at, id);
    this.#pointer = at + 1;
    this.#end = Math.ceil((at + length) / 4) * 4;
    return at;
  }
}
