/**
 * A builder of ACPI Machine Language: each function gives the encoded bytes of one term, and terms
 * nest by being passed to one another (ACPI 6.5 §20.2, "AML Grammar Definition").
 *
 * @module
 */

import { ascii, type Bytes, littleEndian, sequence } from "./byte_sequence.ts";

/** The encoded bytes of a term. */
export type Aml = Bytes;

/**
 * NameString (§20.2.2): `_HID`, `\_SB`, `\_SB.PCI0`, `^^COM1`.
 *
 * @param path Name segments of up to four characters, with dots between them
 * @returns Its bytes
 * @throws {RangeError} If a segment is not a letter or underscore and up to three of those or digits
 */
export function nameString(path: string): Aml {
  const [, prefix = "", rest = ""] = /^(\\|\^*)(.*)$/.exec(path) ?? [];
  const segments = rest === "" ? [] : rest.split(".");
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) {
      throw new RangeError(`"${segment}" in the name ${path} is not an ACPI name segment`);
    }
  }
  const lead = segments.length === 0
    ? [0x00] // NullName
    : segments.length === 1
    ? []
    : segments.length === 2
    ? [0x2e] // DualNamePrefix
    : [0x2f, segments.length]; // MultiNamePrefix
  return sequence(ascii(prefix), ...lead, ascii(segments.map((s) => s.padEnd(4, "_")).join("")));
}

/**
 * PkgLength (§20.2.4) in front of what it measures; it counts its own bytes too.
 *
 * @param content What follows it
 * @returns Length and content
 * @throws {RangeError} If they take 2^28 bytes or more
 */
export function withPkgLength(content: Uint8Array): Aml {
  if (content.length + 1 < 0x40) return sequence(content.length + 1, content);
  for (const extra of [1, 2, 3]) {
    const total = content.length + 1 + extra;
    if (total < 2 ** (4 + 8 * extra)) {
      const lead = (extra << 6) | (total & 0x0f);
      return sequence(lead, littleEndian(Math.floor(total / 16), extra), content);
    }
  }
  throw new RangeError(`An AML package of ${content.length} bytes is too long for its PkgLength`);
}

/**
 * A constant integer in its shortest encoding (§20.2.3).
 *
 * @param value A whole number from 0 to 2^53-1
 * @returns ZeroOp, OneOp, ByteConst, WordConst, DWordConst or QWordConst
 */
export function integer(value: number): Aml {
  if (value < 2) return sequence(value);
  if (value < 0x100) return sequence(0x0a, value);
  if (value < 0x1_0000) return sequence(0x0b, littleEndian(value, 2));
  if (value < 0x1_0000_0000) return sequence(0x0c, littleEndian(value, 4));
  return sequence(0x0e, littleEndian(value, 8));
}

/**
 * A string constant.
 *
 * @param text ASCII text
 * @returns StringPrefix, the text and its NUL
 */
export function string(text: string): Aml {
  return sequence(0x0d, ascii(text), 0x00);
}

/**
 * A compressed EISA identifier as a DWordConst (§19.6.36).
 *
 * @param id Three letters and four hexadecimal digits, `PNP0501`
 * @returns The integer term
 * @throws {RangeError} If the text is not of that shape
 */
export function eisaId(id: string): Aml {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(id)) throw new RangeError(`"${id}" is not an EISA identifier`);
  const letter = (i: number) => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = parseInt(id.slice(3), 16);
  return sequence(0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff);
}

/**
 * Buffer (§20.2.5.4).
 *
 * @param content Its bytes
 * @returns DefBuffer
 */
export function buffer(content: Uint8Array): Aml {
  return sequence(0x11, withPkgLength(sequence(integer(content.length), content)));
}

/**
 * Package (§20.2.5.4).
 *
 * @param elements Its elements, at most 255
 * @returns DefPackage
 */
export function packageOf(...elements: Aml[]): Aml {
  return sequence(0x12, withPkgLength(sequence(elements.length, ...elements)));
}

/**
 * Name (§20.2.5.1): gives a value a name.
 *
 * @param path The name
 * @param value Its value
 * @returns DefName
 */
export function name(path: string, value: Aml): Aml {
  return sequence(0x08, nameString(path), value);
}

/**
 * Scope (§20.2.5.1): opens an object's namespace.
 *
 * @param path The object
 * @param terms What to put into it
 * @returns DefScope
 */
export function scope(path: string, ...terms: Aml[]): Aml {
  return sequence(0x10, withPkgLength(sequence(nameString(path), ...terms)));
}

/**
 * Device (§20.2.5.2).
 *
 * @param path Its name
 * @param terms Its objects
 * @returns DefDevice
 */
export function device(path: string, ...terms: Aml[]): Aml {
  return sequence(0x5b, 0x82, withPkgLength(sequence(nameString(path), ...terms)));
}
