/**
 * A device with a mistake in it: a read of port 0x300 throws.
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import type { DeviceType } from "../../vmm/device.ts";

export default {
  type: "throwing",
  state: struct("throwing", { unused: u8 }),
  open: () => ({
    ranges: [{
      space: "pio" as const,
      base: 0x300,
      size: 1,
      maxWidth: 1 as const,
      handler: {
        read() {
          throw new Error("The device has a mistake");
        },
        write() {},
      },
    }],
    reset() {},
  }),
} satisfies DeviceType;
