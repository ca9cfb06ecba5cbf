/**
 * A device that says a lot on hvsh's own stdout and stderr, from the thread of a vCPU and from the main
 * one, when port 0x300 is written; and then makes a mistake that nobody waits for.
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import type { DeviceType } from "../../vmm/device.ts";

/** More than a pipe holds. */
const MUCH = "talk ".repeat(50_000);

function talk(): void {
  console.log(MUCH);
  console.error(MUCH);
}

export default {
  type: "talkative",
  state: struct("talkative", { told: u8 }),
  open: (_config, context) => ({
    ranges: [{
      space: "pio",
      base: 0x300,
      size: 1,
      maxWidth: 1,
      handler: {
        read: () => 0,
        write() {
          talk();
          context.state.setUint8(0, 1);
          context.rearm();
        },
      },
    }],
    reset() {},
    deadline: () => context.state.getUint8(0) === 1 ? 1 : Infinity,
    expire() {
      context.state.setUint8(0, 0);
      talk();
      Promise.reject(new Error("The device has a mistake"));
    },
  }),
} satisfies DeviceType;
