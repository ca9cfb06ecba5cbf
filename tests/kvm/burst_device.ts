/**
 * A device that puts out 4096 bytes at each write to port 0x300, far more than a reader that is not
 * there takes: 0, 1, … 255, 0, 1, …
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import type { DeviceType } from "../../vmm/device.ts";

/** Bytes a write. */
export const BURST = 4096;

export default {
  type: "burst",
  state: struct("burst", { unused: u8 }),
  open(_config, context) {
    const handler = {
      read: () => 0xff,
      write() {
        for (let i = 0; i < BURST; i++) context.output.write(i & 0xff);
      },
    };
    return {
      ranges: [{ space: "pio", base: 0x300, size: 1, maxWidth: 1, handler }],
      reset() {},
    };
  },
} satisfies DeviceType;
