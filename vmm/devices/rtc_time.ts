/**
 * How an MC146818 writes a time into its registers, and when its alarm matches (Motorola MC146818
 * data sheet, 1984, "Time, Calendar, and Alarm Locations", table 3).
 *
 * @module
 */

/** Offsets in the clock's RAM. */
export const Register = {
  SECONDS: 0x00,
  SECONDS_ALARM: 0x01,
  MINUTES: 0x02,
  MINUTES_ALARM: 0x03,
  HOURS: 0x04,
  HOURS_ALARM: 0x05,
  DAY_OF_WEEK: 0x06,
  DAY_OF_MONTH: 0x07,
  MONTH: 0x08,
  YEAR: 0x09,
  A: 0x0a,
  B: 0x0b,
  C: 0x0c,
  D: 0x0d,
  /** Where a PC keeps the century; ACPI's FADT says so too. */
  CENTURY: 0x32,
} as const;

/** Register B's bits that choose how times are written. */
export const Format = {
  /** Hours count to 24; without it to 12, with bit 7 for the afternoon. */
  HOURS_24: 0x02,
  /** Binary; without it BCD. */
  BINARY: 0x04,
} as const;

/** To a match: seconds and minutes to their ends, the hours of a day, minutes and seconds again. */
const MAX_STEPS = 300;
const DAY = 86_400;
const HOUR = 3600;
const MINUTE = 60;
const PM = 0x80;
/** An alarm byte with these bits set matches any value. */
const DONT_CARE = 0xc0;

function encode(value: number, format: number): number {
  if ((format & Format.BINARY) !== 0) return value & 0xff;
  return (Math.floor(value / 10) << 4 | value % 10) & 0xff;
}

function decode(byte: number, format: number): number {
  return (format & Format.BINARY) !== 0 ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

function encodeHour(hour: number, format: number): number {
  if ((format & Format.HOURS_24) !== 0) return encode(hour, format);
  return encode(hour % 12 === 0 ? 12 : hour % 12, format) | (hour >= 12 ? PM : 0);
}

function decodeHour(byte: number, format: number): number {
  if ((format & Format.HOURS_24) !== 0) return decode(byte, format);
  return decode(byte & ~PM, format) % 12 + ((byte & PM) !== 0 ? 12 : 0);
}

/**
 * Whether a register is part of the time, and stands still while the clock is set.
 *
 * @param register Its offset
 * @returns False for alarms, registers A to D and RAM
 */
export function isTime(register: number): boolean {
  return register === Register.CENTURY ||
    (register <= Register.YEAR && (register >= Register.DAY_OF_WEEK || register % 2 === 0));
}

/**
 * Writes a time into the time registers.
 *
 * @param second Seconds since 1970, UTC
 * @param ram The clock's RAM
 * @param format Register B
 */
export function writeTime(second: number, ram: Uint8Array, format: number): void {
  const date = new Date(second * 1000);
  const year = Math.max(0, date.getUTCFullYear());
  ram[Register.SECONDS] = encode(date.getUTCSeconds(), format);
  ram[Register.MINUTES] = encode(date.getUTCMinutes(), format);
  ram[Register.HOURS] = encodeHour(date.getUTCHours(), format);
  ram[Register.DAY_OF_WEEK] = date.getUTCDay() + 1;
  ram[Register.DAY_OF_MONTH] = encode(date.getUTCDate(), format);
  ram[Register.MONTH] = encode(date.getUTCMonth() + 1, format);
  ram[Register.YEAR] = encode(year % 100, format);
  ram[Register.CENTURY] = encode(Math.floor(year / 100), format);
}

/**
 * Reads the time registers. Values that no clock shows (month 99) are carried on.
 *
 * @param ram The clock's RAM
 * @param format Register B
 * @returns Seconds since 1970, UTC
 */
export function readTime(ram: Uint8Array, format: number): number {
  const at = (register: number) => decode(ram[register]!, format);
  const date = new Date(0);
  date.setUTCFullYear(
    at(Register.CENTURY) * 100 + at(Register.YEAR),
    at(Register.MONTH) - 1,
    at(Register.DAY_OF_MONTH),
  );
  date.setUTCHours(
    decodeHour(ram[Register.HOURS]!, format),
    at(Register.MINUTES),
    at(Register.SECONDS),
  );
  return date.getTime() / 1000;
}

/**
 * When the alarm is next due.
 *
 * @param after Seconds since 1970, UTC
 * @param ram The clock's RAM, with the alarm registers
 * @param format Register B
 * @returns The first second after `after` that matches; Infinity if the registers match none
 */
export function nextAlarm(after: number, ram: Uint8Array, format: number): number {
  const matches = (alarm: number, shown: number) =>
    (ram[alarm]! & DONT_CARE) === DONT_CARE || ram[alarm] === shown;
  const ever = (alarm: number) => {
    for (let v = 0; v < 60; v++) if (matches(alarm, encode(v, format))) return true;
    return false;
  };
  if (!ever(Register.SECONDS_ALARM) || !ever(Register.MINUTES_ALARM)) return Infinity;
  for (let t = after + 1, steps = 0; t <= after + DAY && steps < MAX_STEPS; steps++) {
    const ofDay = (t % DAY + DAY) % DAY;
    const hour = encodeHour(Math.floor(ofDay / HOUR), format);
    const minute = encode(Math.floor(ofDay / MINUTE) % 60, format);
    if (!matches(Register.HOURS_ALARM, hour)) t += HOUR - ofDay % HOUR;
    else if (!matches(Register.MINUTES_ALARM, minute)) t += MINUTE - ofDay % MINUTE;
    else if (!matches(Register.SECONDS_ALARM, encode(ofDay % MINUTE, format))) t++;
    else return t;
  }
  return Infinity;
}
