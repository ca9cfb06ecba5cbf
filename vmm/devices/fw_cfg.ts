/**
 * fw_cfg: the numbered items and named files that a board hands to its firmware, by ports and by
 * DMA (QEMU docs/specs/fw_cfg.rst).
 *
 * The contents are shared buffers that no thread writes; selector, offset and the DMA address are
 * the registers.
 *
 * @module
 */
import { bytes, struct, u16, u32 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, IoHandler, IoRange } from "../device.ts";
import { fileDirectory, FwCfgKey } from "./fw_cfg_directory.ts";
import { FwCfgDma } from "./fw_cfg_dma.ts";

/** What the device hands out. */
export interface FwCfgConfig {
  /** Items by number. */
  readonly items: readonly { readonly key: number; readonly data: SharedArrayBuffer }[];
  /** Files by name, of up to 55 bytes. */
  readonly files: readonly { readonly name: string; readonly data: SharedArrayBuffer }[];
}

const State = struct("fw_cfg", {
  /** Where in the item the next byte is read. */
  cur_offset: u32,
  /** The item that is being read. */
  cur_entry: u16,
  /** The DMA address as written, big-endian. */
  dma_address: bytes(8),
});

/** The signature of item 0, and `FW_CFG_DMA_SIGNATURE`, what the DMA register reads as. */
const SIGNATURE = new TextEncoder().encode("QEMU");
const DMA_SIGNATURE = new TextEncoder().encode("QEMU CFG");

/** `FW_CFG_ID`: bit 0 for the traditional interface, bit 1 for DMA. */
const ID = Uint8Array.of(3, 0, 0, 0);

/** Bit 14 of a selector once asked for writing; items are the same with and without it. */
const WRITE_CHANNEL = 0x4000;

/** The board's `fw_cfg` device. */
export const fwCfg: DeviceType<FwCfgConfig> = {
  type: "fw_cfg",
  state: State,
  open: (config, context) => new FwCfg(config, context),
};

class FwCfg implements Device {
  readonly ranges: readonly IoRange[];
  readonly #state: InstanceType<typeof State>;
  readonly #items: ReadonlyMap<number, Uint8Array>;

  constructor(config: FwCfgConfig, context: DeviceContext) {
    this.#state = new State(context.state);
    this.#items = new Map<number, Uint8Array>([
      ...config.items.map(({ key, data }) => [key, new Uint8Array(data)] as const),
      ...config.files.map(({ data }, i) =>
        [FwCfgKey.FILE_FIRST + i, new Uint8Array(data)] as const
      ),
      [FwCfgKey.FILE_DIR, fileDirectory(config.files)],
      [FwCfgKey.SIGNATURE, SIGNATURE],
      [FwCfgKey.ID, ID],
    ]);
    const dma = new FwCfgDma(context, this);
    this.ranges = [
      { space: "pio", base: Port.FW_CFG, size: 2, maxWidth: 2, handler: this.#ports() },
      { space: "pio", base: Port.FW_CFG_DMA, size: 8, maxWidth: 4, handler: this.#dmaPort(dma) },
    ];
  }

  reset() {
    this.#state.cur_offset = 0;
    this.#state.cur_entry = FwCfgKey.SIGNATURE;
    this.#state.dma_address.fill(0);
  }

  /**
   * Chooses the item that is read next, from its start.
   *
   * @param selector What the guest wrote
   */
  select(selector: number): void {
    this.#state.cur_entry = selector & ~WRITE_CHANNEL;
    this.#state.cur_offset = 0;
  }

  /**
   * Moves on in the chosen item.
   *
   * @param length Up to how many bytes
   * @returns The bytes passed over, fewer than `length` at the item's end
   */
  take(length: number): Uint8Array {
    const item = this.#items.get(this.#state.cur_entry);
    if (item === undefined) return new Uint8Array(0);
    const start = this.#state.cur_offset;
    const end = Math.min(start + length, item.length);
    this.#state.cur_offset = end;
    return item.subarray(start, end);
  }

  /** Selector (16 bits, written at once) and data (a byte a read; the old writes do nothing). */
  #ports(): IoHandler {
    return {
      read: (offset, width) => offset === 1 ? this.#nextByte() : width === 1 ? 0xff : 0xffff,
      write: (offset, width, value) => {
        if (offset === 0 && width === 2) this.select(value);
      },
    };
  }

  /** Past its end, and in an item that is not there, a read gives 0. */
  #nextByte(): number {
    const state = this.#state;
    const item = this.#items.get(state.cur_entry);
    if (item === undefined || state.cur_offset >= item.length) return 0;
    return item[state.cur_offset++]!;
  }

  /** The address is written as two 32-bit halves, most significant first; the second starts it. */
  #dmaPort(dma: FwCfgDma): IoHandler {
    return {
      read(offset, width) {
        let value = 0;
        for (let i = width; i-- > 0;) value = value * 256 + DMA_SIGNATURE[offset + i]!;
        return value;
      },
      write: (offset, width, value) => {
        if (width !== 4 || (offset !== 0 && offset !== 4)) return;
        const address = this.#state.dma_address;
        const view = new DataView(address.buffer, address.byteOffset, address.length);
        view.setUint32(offset, value, true);
        if (offset === 0) return;
        const descriptor = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
        address.fill(0);
        dma.run(descriptor);
      },
    };
  }
}
