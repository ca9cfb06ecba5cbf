/**
 * Fields of a stream's records: numbers as `"0x…"`, bytes as base64, and errors that name the field.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";

/** Letters that become base64 at once; more would not fit on the stack. */
const MOST_AT_ONCE = 0x8000;
/** Objects and arrays within each other; what goes through records recursively must not run out of stack. */
const MOST_DEPTH = 100;
/** Characters of a value that an error shows. */
const MOST_SHOWN = 80;

/**
 * A number as records have it.
 *
 * @param value Unsigned
 */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/**
 * Reads a number.
 *
 * @param json `"0x…"`
 * @param bits How many bits it has at most
 * @throws {TypeError} If it is none
 */
export function wideNumber(json: Json | undefined, bits: number): bigint {
  if (typeof json === "string" && /^0x[0-9a-f]{1,16}$/i.test(json)) {
    const value = BigInt(json);
    if (value >> BigInt(bits) === 0n) return value;
  }
  throw new TypeError(`is ${shown(json)}, not a number of ${bits} bits written as "0x…"`);
}

/**
 * A value for an error's message, which does not grow with it.
 *
 * @param json The value
 */
export function shown(json: Json | undefined): string {
  if (Array.isArray(json) && json.length > 0) return `an array of ${json.length}`;
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return "an object";
  const text = JSON.stringify(typeof json === "string" ? json.slice(0, MOST_SHOWN) : json);
  return `${text}${typeof json === "string" && json.length > MOST_SHOWN ? "…" : ""}`;
}

/**
 * An object of a record.
 *
 * @throws {TypeError} If it is none
 */
export function objectOf(json: Json | undefined): Record<string, Json> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new TypeError("is no object");
  }
  return json as Record<string, Json>;
}

/** Bytes as text. */
export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += MOST_AT_ONCE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + MOST_AT_ONCE));
  }
  return btoa(binary);
}

/**
 * Text as bytes.
 *
 * @throws {TypeError} If it is no base64
 */
export function bytesOfBase64(json: Json | undefined): Uint8Array<ArrayBuffer> {
  if (typeof json !== "string") throw new TypeError("is no base64");
  let binary: string;
  try {
    binary = atob(json);
  } catch {
    throw new TypeError("is no base64");
  }
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

/**
 * Reads a field, and says which one it was if it is not as it should be.
 *
 * @param where The record
 * @param key The field
 * @param read Reads it
 * @throws {DocumentError} If that throws a `TypeError`
 */
export function field<T>(where: string, key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new DocumentError(`${where}, ${key}: ${error.message}`, { cause: error });
  }
}

/**
 * The JSON of a record.
 *
 * @param where The record's name
 * @param content Its bytes
 * @throws {DocumentError} If it is none
 */
export function parseRecord(where: string, content: Uint8Array): Json {
  if (isDeep(content)) {
    throw new DocumentError(`${where} is nested more than ${MOST_DEPTH} deep`);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch (error) {
    throw new DocumentError(`${where} is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Whether JSON has too many objects and arrays within each other. */
function isDeep(content: Uint8Array): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < content.length; i++) {
    switch (content[i]) {
      case 0x22: // a quotation mark
        quoted = !quoted;
        break;
      case 0x5c: // a backslash, and what it is before
        i++;
        break;
      case 0x5b:
      case 0x7b:
        if (!quoted && ++depth > MOST_DEPTH) return true;
        break;
      case 0x5d:
      case 0x7d:
        if (!quoted) depth--;
        break;
    }
  }
  return false;
}
