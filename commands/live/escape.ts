/**
 * The key that leaves a console, as telnet, virsh and lkvm have one.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { Flag } from "../verb.ts";

/** The flag of the verbs that have a console. */
export const escapeFlag: Flag = {
  value: "text",
  metavar: "KEY",
  help: "The key that leaves the console: ^A to ^_, a character, or none (^])",
};

/** A key, and how it is written. */
export interface Escape {
  /** Its byte; undefined for none. */
  readonly byte: number | undefined;
  readonly name: string;
}

const DEFAULT = "^]";
const CONTROL = /^\^([@A-Z[\\\]^_])$/i;
const CONTROL_BITS = 0x1f;

/**
 * Reads the flag's value.
 *
 * @param text What the words say; `^]` if left out
 * @returns The key
 * @throws {UsageError} If it is none
 */
export function parseEscape(text: string = DEFAULT): Escape {
  if (text === "none") return { byte: undefined, name: text };
  const [, letter] = CONTROL.exec(text) ?? [];
  if (letter !== undefined) {
    const name = letter.toUpperCase();
    return { byte: name.charCodeAt(0) & CONTROL_BITS, name: `Ctrl-${name}` };
  }
  const code = text.charCodeAt(0);
  if (text.length === 1 && code < 0x80) return { byte: code, name: text };
  throw new UsageError(`--escape: "${text}" is no key: write ^A to ^_, one character, or none`);
}
