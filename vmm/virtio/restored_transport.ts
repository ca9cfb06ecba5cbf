/**
 * Looks at a transport's registers that come from elsewhere: what a driver could not have brought about
 * is refused, since device code relies on it.
 *
 * @module
 */
import type { Struct } from "../../ffi/struct.ts";
import type { OfferedFeatures } from "./features.ts";
import { VirtqueueState } from "./queue_state.ts";
import { isStatus, Status } from "./status.ts";
import { Isr, type VirtioState } from "./transport_state.ts";

const INDICES = ["last_avail_idx", "next_used_idx", "unsignalled", "vector"] as const;
const INDEX = 0xffff;
/** One above what the driver can have been told: none yet. */
const MOST_AVAIL_EVENT = 0x1_0000;

/**
 * Looks at the registers of a device.
 *
 * @param state The registers
 * @param offered What it offers
 * @throws {TypeError} Naming the register that can't be so
 */
export function checkTransport(state: Struct<typeof VirtioState>, offered: OfferedFeatures): void {
  const { status } = state;
  if (!isStatus(status)) {
    throw new TypeError(`transport.status is 0x${status.toString(16)}, which no driver gets to`);
  }
  const { driver_features_low: low, driver_features_high: high, driver_features_beyond } = state;
  if (
    (status & Status.FEATURES_OK) !== 0 &&
    !offered.acceptsRestored(low, high, driver_features_beyond)
  ) {
    const hex = (word: number) => `0x${word.toString(16)}`;
    throw new TypeError(
      `transport.driver_features are ${hex(low)} and ${hex(high)}, but this device offers ` +
        `${hex(offered.word(0))} and ${hex(offered.word(1))}`,
    );
  }
  if ((state.isr & ~(Isr.QUEUE | Isr.CONFIG)) !== 0) {
    throw new TypeError(`transport.isr is ${state.isr}`);
  }
}

/**
 * Looks at what is kept of a queue.
 *
 * @param index The queue's number
 * @param view Its {@linkcode VirtqueueState}
 * @throws {TypeError} Naming the field that can't be so
 */
export function checkQueue(index: number, view: DataView): void {
  const queue = new VirtqueueState(view);
  const require = (field: keyof typeof VirtqueueState.offsets, most: number) => {
    if (queue[field] <= most) return;
    throw new TypeError(`queues[${index}].${field} is ${queue[field]}, above ${most}`);
  };
  require("enabled", 1);
  require("no_notify", 1);
  require("avail_event", MOST_AVAIL_EVENT);
  for (const field of INDICES) require(field, INDEX);
}
