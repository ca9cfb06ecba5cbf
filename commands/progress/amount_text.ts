/**
 * Bytes and times for the eye.
 *
 * @module
 */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
/** From here on the next unit is shorter. */
const NEXT_UNIT = 1000;

/**
 * Bytes, with three digits or so.
 *
 * @param bytes How many
 * @returns `512 MiB`, `1.7 GiB`
 */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= NEXT_UNIT && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 9.95 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * A time, in whole seconds.
 *
 * @param milliseconds How long
 * @returns `0:07`, `12:30`, `1:02:03`
 */
export function clockText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const two = (value: number) => `${value}`.padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
