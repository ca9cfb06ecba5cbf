/**
 * A PCI card with a clock: its BAR holds the host's time in milliseconds since 1970, 64 bits wide, and
 * a scratch register behind it.
 *
 *     hvsh create | hvsh device scripts/examples/clock_card.ts | …
 *
 * @module
 */
import { type DeviceType, struct, u32 } from "../../mod.ts";

/** Its registers, in memory that all the VM's threads share. */
const State = struct("clock_card", { scratch: u32 });

export default {
  type: "clock",
  bus: "pci",
  state: State,
  open: (_config, context) => {
    const registers = new State(context.state);
    return {
      ranges: [],
      pci: {
        vendor: 0x1b36, // Red Hat lends its numbers to experiments
        device: 0x00fe,
        classCode: 0x080300, // system timer
        bars: [{
          index: 0,
          kind: "mem32",
          size: 4096,
          maxWidth: 4,
          handler: {
            // What is too wide for the access is cut off.
            read: (offset) =>
              offset < 8
                ? Math.floor(context.realtime() / 2 ** (8 * offset))
                : offset === 8
                ? registers.scratch
                : 0,
            write: (offset, _width, value) => {
              if (offset === 8) registers.scratch = value;
            },
          },
        }],
      },
      reset: () => {
        registers.scratch = 0;
      },
    };
  },
} satisfies DeviceType;
