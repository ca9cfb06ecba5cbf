/**
 * One word to a value, by the kind that its flag or argument has.
 *
 * @module
 */
import { parseAddress, parseSize } from "../vmm/size.ts";
import type { ValueKind } from "./verb.ts";

const SECONDS: Readonly<Record<string, number>> = {
  "": 1,
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86400,
};

/**
 * Reads a word.
 *
 * @param text The word
 * @param kind What it stands for
 * @returns A number for numbers, sizes (bytes), addresses and seconds; otherwise the word
 * @throws {RangeError} Saying what it should have been
 */
export function parseValue(text: string, kind: ValueKind): string | number {
  if (typeof kind !== "string") {
    if (kind.includes(text)) return text;
    throw new RangeError(`"${text}" is not one of ${kind.join(", ")}`);
  }
  switch (kind) {
    case "number":
      return parseNumber(text);
    case "size":
      return parseSize(text);
    case "address":
      return parseAddress(text);
    case "seconds":
      return parseSeconds(text);
    case "path":
    case "vm":
    case "paused-vm":
    case "running-vm":
      if (text === "") throw new RangeError("It is empty");
      return text;
    default:
      return text; // only a VM knows whether it means something
  }
}

function parseNumber(text: string): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(`Cannot parse the number "${text}": write it as 12 or 0xc`);
}

function parseSeconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)([a-z]*)$/.exec(text);
  const unit = match === null ? undefined : SECONDS[match[2]!];
  if (unit !== undefined) return Number(match![1]) * unit;
  throw new RangeError(`Cannot parse the time "${text}": write it as 5, 0.5, 500ms, 2m or 1h`);
}
