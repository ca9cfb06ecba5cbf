/**
 * The common configuration structure of virtio over PCI (virtio 1.2 §4.1.4.3).
 *
 * @module
 */
import type { Width } from "../device.ts";
import type { VirtioTransport } from "./transport.ts";
import { NO_VECTOR } from "./transport_state.ts";

/** Offsets of `struct virtio_pci_common_cfg`. */
export const Common = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  CONFIG_MSIX_VECTOR: 0x10,
  NUM_QUEUES: 0x12,
  DEVICE_STATUS: 0x14,
  CONFIG_GENERATION: 0x15,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_MSIX_VECTOR: 0x1a,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFF: 0x1e,
  QUEUE_DESC: 0x20,
  QUEUE_DRIVER: 0x28,
  QUEUE_DEVICE: 0x30,
  END: 0x38,
} as const;

/**
 * Each field is read and written in its own width, the 64-bit ones in halves (§4.1.3.1); what else is
 * read gives ones, what else is written does nothing.
 */
export class PciCommon {
  readonly #transport: VirtioTransport;
  readonly #vectors: number;

  /**
   * @param transport The device
   * @param vectors How many MSI-X vectors it has
   */
  constructor(transport: VirtioTransport, vectors: number) {
    this.#transport = transport;
    this.#vectors = vectors;
  }

  /** Reads a field. */
  read(offset: number, width: Width): number {
    const { state, offered, selected, queueCount } = this.#transport;
    switch (offset + FIELD_WIDTH * width) {
      case Common.DEVICE_FEATURE_SELECT + FIELD_WIDTH * 4:
        return state.device_feature_select;
      case Common.DEVICE_FEATURE + FIELD_WIDTH * 4:
        return offered.word(state.device_feature_select);
      case Common.DRIVER_FEATURE_SELECT + FIELD_WIDTH * 4:
        return state.driver_feature_select;
      case Common.DRIVER_FEATURE + FIELD_WIDTH * 4:
        return this.#transport.readDriverFeatures();
      case Common.CONFIG_MSIX_VECTOR + FIELD_WIDTH * 2:
        return state.config_vector;
      case Common.NUM_QUEUES + FIELD_WIDTH * 2:
        return queueCount;
      case Common.DEVICE_STATUS + FIELD_WIDTH:
        return state.status;
      case Common.CONFIG_GENERATION + FIELD_WIDTH:
        return state.config_generation & 0xff;
      case Common.QUEUE_SELECT + FIELD_WIDTH * 2:
        return state.queue_select;
      case Common.QUEUE_SIZE + FIELD_WIDTH * 2:
        return selected.size;
      case Common.QUEUE_MSIX_VECTOR + FIELD_WIDTH * 2:
        return selected.vector;
      case Common.QUEUE_ENABLE + FIELD_WIDTH * 2:
        return selected.enabled ? 1 : 0;
      case Common.QUEUE_NOTIFY_OFF + FIELD_WIDTH * 2:
        return selected.most === 0 ? 0 : state.queue_select;
    }
    const half = (offset - Common.QUEUE_DESC) / 4;
    return width === 4 && offset < Common.END && half >= 0 && Number.isInteger(half)
      ? selected.readAddress(half)
      : 2 ** (8 * width) - 1;
  }

  /** Writes a field. */
  write(offset: number, width: Width, value: number): void {
    const transport = this.#transport;
    const { state, selected } = transport;
    switch (offset + FIELD_WIDTH * width) {
      case Common.DEVICE_FEATURE_SELECT + FIELD_WIDTH * 4:
        state.device_feature_select = value;
        return;
      case Common.DRIVER_FEATURE_SELECT + FIELD_WIDTH * 4:
        state.driver_feature_select = value;
        return;
      case Common.DRIVER_FEATURE + FIELD_WIDTH * 4:
        transport.writeDriverFeatures(value);
        return;
      case Common.CONFIG_MSIX_VECTOR + FIELD_WIDTH * 2:
        state.config_vector = this.#vector(value);
        return;
      case Common.DEVICE_STATUS + FIELD_WIDTH:
        transport.writeStatus(value);
        return;
      case Common.QUEUE_SELECT + FIELD_WIDTH * 2:
        state.queue_select = value;
        return;
      case Common.QUEUE_SIZE + FIELD_WIDTH * 2:
        selected.size = value;
        return;
      case Common.QUEUE_MSIX_VECTOR + FIELD_WIDTH * 2:
        selected.vector = this.#vector(value);
        return;
      case Common.QUEUE_ENABLE + FIELD_WIDTH * 2:
        if (value === 1) selected.enable(); // 0 is not for drivers to write (§4.1.4.3.2)
        return;
    }
    const half = (offset - Common.QUEUE_DESC) / 4;
    if (width === 4 && offset < Common.END && half >= 0 && Number.isInteger(half)) {
      selected.writeAddress(half, value);
    }
  }

  /** §4.1.5.1.2.1: a vector that there isn't reads back as none. */
  #vector(value: number): number {
    return value < this.#vectors ? value : NO_VECTOR;
  }
}

/** Above every offset: a field's key is its offset and its width. */
const FIELD_WIDTH = 0x1_0000;
