/**
 * A PCI card that does what its entry in the document says, for tests of cards that come and go: it
 * fails to open, it has a port besides, it has deadlines, it takes a console's input.
 *
 * @module
 */
import { f64, struct } from "../../ffi/struct.ts";
import type { Device, DeviceType } from "../../vmm/device.ts";

/** What a card does. */
export interface HotCardConfig {
  /** `open`: it fails to open; `nothing`: it isn't a function of the bus. */
  readonly mistake?: "open" | "nothing";
  /** A port that it answers, with 0x5a. */
  readonly port?: number;
  /** It tells of an event `expired` once, as soon as its deadline is looked at. */
  readonly timed?: boolean;
  /** It takes input, and tells of it as an event `input`. */
  readonly input?: boolean;
}

const State = struct("hot_card", {
  /** When it expires; what other devices write there would be seen. */
  deadline: f64,
});

export default {
  type: "hot_card",
  bus: "pci",
  state: State,
  open({ mistake, port, timed, input }, context): Device {
    if (mistake === "open") throw new Error("the card is broken");
    const state = new State(context.state);
    return {
      ranges: port === undefined ? [] : [{
        ...{ space: "pio", base: port, size: 1, maxWidth: 1 },
        handler: { read: () => 0x5a, write() {} },
      }],
      reset() {
        state.deadline = 1;
      },
      ...(mistake === "nothing" ? {} : {
        pci: { vendor: 0x1b36, device: 0x00fe, classCode: 0xff_00_00, bars: [] },
      }),
      ...(timed === true && {
        deadline: () => state.deadline,
        expire() {
          state.deadline = Infinity;
          context.event({ kind: "expired" });
        },
      }),
      ...(input === true && {
        receive(bytes: Uint8Array) {
          context.event({ kind: "input", text: new TextDecoder().decode(bytes) });
          return bytes.length;
        },
      }),
    };
  },
} satisfies DeviceType<HotCardConfig>;
