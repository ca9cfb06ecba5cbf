/**
 * A time on the host's monotonic clock in a device's state. In JSON it is how many milliseconds away it
 * is, since another host, or this one after its next start, has another clock.
 *
 * @module
 */
import { monotonicMilliseconds } from "../ffi/clock.ts";
import { f64, type Field } from "../ffi/struct.ts";

/** Further away than any clock goes: 2^53 microseconds, 285 years. */
const MOST_MILLISECONDS = 2 ** 53 / 1000;

/**
 * Makes the field.
 *
 * @param never The value that stands for no time at all, `null` in JSON; left out, there is always one
 * @returns The field: milliseconds, a `double`
 */
export function moment(never?: number): Field<number> {
  return {
    ...f64,
    toJson: (value) => value === never ? null : value - monotonicMilliseconds(),
    fromJson(view, offset, json, path) {
      if (json === null && never !== undefined) return f64.set(view, offset, never);
      if (typeof json !== "number" || !(Math.abs(json) <= MOST_MILLISECONDS)) {
        throw new TypeError(`${path} is no number of milliseconds from now`);
      }
      f64.set(view, offset, monotonicMilliseconds() + json);
    },
  };
}
