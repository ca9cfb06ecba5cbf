/**
 * A device that counts: reading its port gives 0, 1, 2…; writing it sets the count.
 *
 *     hvsh create | hvsh device scripts/examples/counter_device.ts port=0x510 | …
 *
 * @module
 */
import { type DeviceType, struct, u32 } from "../../mod.ts";

/** Its registers, in memory that all the VM's threads share. */
const State = struct("counter", { count: u32 });

export default {
  type: "counter",
  state: State,
  open: ({ port }, context) => {
    const registers = new State(context.state);
    return {
      ranges: [{
        space: "pio",
        base: port,
        size: 4,
        maxWidth: 4,
        handler: {
          read: () => {
            const { count } = registers;
            registers.count = (count + 1) >>> 0;
            return count;
          },
          write: (_offset, _width, value) => {
            registers.count = value;
          },
        },
      }],
      reset: () => {
        registers.count = 0;
      },
    };
  },
} satisfies DeviceType<{ port: number }>;
