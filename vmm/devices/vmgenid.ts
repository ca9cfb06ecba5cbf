/**
 * The virtual machine generation ID (Microsoft, "Virtual Machine Generation ID", 2012): 16 random bytes
 * in the guest's memory, new whenever the machine goes on from a saved state, so that a guest which runs
 * twice can tell. The DSDT says where they are (`dsdt.ts`); `power_management.ts` raises the event by
 * which a guest looks again.
 *
 * @module
 */
import { fillRandom } from "../../ffi/random.ts";
import { bytes, struct } from "../../ffi/struct.ts";
import { Address } from "../board.ts";
import type { DeviceType } from "../device.ts";

const ID_BYTES = 16;

const State = struct("vmgenid", {
  /** What the guest finds. */
  id: bytes(ID_BYTES),
});

/** The ID that a machine has from its making on. */
export interface GenerationConfig {
  /** 16 bytes in hex; drawn when the device is prepared. */
  readonly id: string;
}

/** The board's `vmgenid` device; `prepareBoot` writes its ID for a guest that boots. */
export const vmgenid: DeviceType<GenerationConfig> = {
  type: "vmgenid",
  state: State,
  prepare(config) {
    const id = new Uint8Array(ID_BYTES);
    fillRandom(id);
    return Promise.resolve({
      config: { ...config, id: id.toHex() },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
  open(config, context) {
    const state = new State(context.state);
    const id = Uint8Array.fromHex(config.id);
    return {
      ranges: [],
      reset() {
        state.id.set(id);
      },
      restored(moved) {
        if (moved) return; // a guest that is not there twice has nothing to tell
        state.id.set(id);
        context.memory.write(Address.VM_GENERATION_ID, id);
      },
    };
  },
};
