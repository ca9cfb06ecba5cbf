/**
 * fw_cfg's DMA interface (QEMU docs/specs/fw_cfg.rst, "Guest-side DMA Interface"): one control
 * structure in guest memory asks for one transfer, which is done before the guest goes on.
 *
 * @module
 */
import { struct, u32be, u64be } from "../../ffi/struct.ts";
import type { DeviceContext } from "../device.ts";

/** `struct FWCfgDmaAccess`, all big-endian. */
const FwCfgDmaAccess = struct("FWCfgDmaAccess", { control: u32be, length: u32be, address: u64be });

/** Bits of `control`; with SELECT its upper half is the item. */
const Control = { ERROR: 1, READ: 2, SKIP: 4, SELECT: 8, WRITE: 16 } as const;

/** Where the bytes come from. */
export interface FwCfgSource {
  /** Chooses an item. */
  select(selector: number): void;
  /** Takes up to `length` bytes, fewer at the item's end. */
  take(length: number): Uint8Array;
}

/** Runs the transfers. */
export class FwCfgDma {
  readonly #context: Pick<DeviceContext, "memory">;
  readonly #source: FwCfgSource;

  /**
   * @param context Gives the memory where control structures lie and bytes go; it is not asked
   * before the first transfer, since most guests make none
   * @param source Where bytes come from
   */
  constructor(context: Pick<DeviceContext, "memory">, source: FwCfgSource) {
    this.#context = context;
    this.#source = source;
  }

  /**
   * Does what a control structure asks for and writes the outcome back to it: 0, or the error bit.
   * A structure that is not in RAM can't be told, and nothing happens.
   *
   * @param at Guest-physical address of the structure
   */
  run(at: number): void {
    if (!this.#isRam(at, FwCfgDmaAccess.size)) return;
    const view = this.#context.memory.view(at, FwCfgDmaAccess.size);
    const { control, length, address } = new FwCfgDmaAccess(view); // read once
    if ((control & Control.SELECT) !== 0) this.#source.select(control >>> 16);
    const done = this.#transfer(control, length, Number(address));
    new FwCfgDmaAccess(view).control = done ? 0 : Control.ERROR;
    this.#context.memory.written(at, FwCfgDmaAccess.size);
  }

  #transfer(control: number, length: number, address: number): boolean {
    if ((control & Control.READ) !== 0) return this.#read(length, address);
    // No item takes data from the guest.
    if ((control & Control.WRITE) !== 0) return length === 0;
    if ((control & Control.SKIP) !== 0) this.#source.take(length);
    return true;
  }

  /** What lies past the item's end is read as zeros. */
  #read(length: number, address: number): boolean {
    if (length === 0) return true;
    if (!this.#isRam(address, length)) return false;
    const target = this.#context.memory.bytes(address, length);
    const data = this.#source.take(length);
    target.set(data);
    target.fill(0, data.length);
    this.#context.memory.written(address, length);
    return true;
  }

  #isRam(address: number, length: number): boolean {
    const { memory } = this.#context;
    return memory.regions[memory.find(address, length)]?.ram === true;
  }
}
