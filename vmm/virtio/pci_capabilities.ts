/**
 * How a virtio device describes itself on PCI (virtio 1.2 §4.1.4): vendor capabilities that say where
 * in which BAR each structure lies.
 *
 * @module
 */

/** `cfg_type` of a capability. */
export const PciCapType = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI_CFG: 5 } as const;

/** Offsets in a `struct virtio_pci_cap`, its ID being 0. */
export const PciCap = {
  BAR: 4,
  OFFSET: 8,
  LENGTH: 12,
  NOTIFY_MULTIPLIER: 16,
  CFG_DATA: 16,
} as const;

/** The BAR that all structures lie in. */
export const STRUCTURES_BAR = 0;
/** The BAR of MSI-X's table and pending bits. */
export const MSIX_BAR = 1;
/** Bytes of {@linkcode STRUCTURES_BAR}: a page for each structure. */
export const STRUCTURES_SIZE = 0x4000;
/** Bytes from one queue's notification address to the next one's. */
export const NOTIFY_MULTIPLIER = 4;

/** Where the structures are. */
export const Structure = {
  COMMON: 0x0000,
  ISR: 0x1000,
  DEVICE: 0x2000,
  NOTIFY: 0x3000,
} as const;

/** Index of VIRTIO_PCI_CAP_PCI_CFG among the capabilities. */
export const PCI_CFG_CAPABILITY = 4;

const COMMON_LENGTH = 0x38;
const CAP_BYTES = 16;
const CAP_VNDR_BYTES = 2;

/**
 * The capabilities' bodies: all but the first two bytes, which are PCI's.
 *
 * @param queues How many queues the device has
 * @param configSize Bytes of its configuration space
 */
export function virtioCapabilities(queues: number, configSize: number): Uint8Array[] {
  return [
    capability(PciCapType.COMMON, Structure.COMMON, COMMON_LENGTH),
    capability(PciCapType.NOTIFY, Structure.NOTIFY, queues * NOTIFY_MULTIPLIER, NOTIFY_MULTIPLIER),
    capability(PciCapType.ISR, Structure.ISR, 1),
    // §4.1.4.6: there where the device has something to configure.
    capability(PciCapType.DEVICE, Structure.DEVICE, Math.max(4, configSize)),
    capability(PciCapType.PCI_CFG, 0, 0, 0),
  ];
}

function capability(type: number, offset: number, length: number, last?: number): Uint8Array {
  const size = CAP_BYTES + (last === undefined ? 0 : 4);
  const view = new DataView(new ArrayBuffer(size));
  view.setUint8(2, size);
  view.setUint8(3, type);
  view.setUint8(PciCap.BAR, STRUCTURES_BAR);
  view.setUint32(PciCap.OFFSET, offset, true);
  view.setUint32(PciCap.LENGTH, length, true);
  if (last !== undefined) view.setUint32(CAP_BYTES, last, true);
  return new Uint8Array(view.buffer, CAP_VNDR_BYTES);
}
