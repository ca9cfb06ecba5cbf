/**
 * pvpanic: a port by which a guest's kernel says that it crashed (QEMU docs/specs/pvpanic.rst).
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import type { DeviceType } from "../device.ts";

/** Bits that are read as the supported events and written as the event that happened. */
const Event = {
  /** The kernel panicked, and nothing in the guest will deal with it. */
  PANICKED: 1 << 0,
  /** The kernel panicked, and its crash kernel takes over. */
  CRASH_LOADED: 1 << 1,
  /** The guest turns itself off. */
  SHUTDOWN: 1 << 2,
} as const;

const State = struct("pvpanic", {
  /** All events that the guest told of since it was reset. */
  events: u8,
});

/** The board's `pvpanic` device. */
export const pvpanic: DeviceType = {
  type: "pvpanic",
  state: State,
  open(_config, context) {
    const state = new State(context.state);
    return {
      ranges: [{
        space: "pio",
        base: Port.PVPANIC,
        size: 1,
        maxWidth: 1,
        handler: {
          read: () => Event.PANICKED | Event.CRASH_LOADED | Event.SHUTDOWN,
          write(_offset, _width, value) {
            state.events |= value & (Event.PANICKED | Event.CRASH_LOADED | Event.SHUTDOWN);
            if ((value & Event.PANICKED) !== 0) context.stop("panic");
            else if ((value & Event.SHUTDOWN) !== 0) context.stop("poweroff");
          },
        },
      }],
      reset() {
        state.events = 0;
      },
    };
  },
};
