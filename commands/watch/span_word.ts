/**
 * Ports and addresses as words of verbs: one, or a range with both its ends.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { AddressSpan } from "../../vmm/debug/watch_plan.ts";
import { parseAddress } from "../../vmm/size.ts";

/**
 * Reads a word.
 *
 * @param text `0x3f8` or `0x3f8-0x3ff`
 * @param what What it is, for an error: `port`
 * @returns The range
 * @throws {UsageError} If it is none
 */
export function spanWord(text: string, what: string): AddressSpan {
  const [first = "", last = first, ...more] = text.split("-");
  try {
    const base = parseAddress(first);
    const end = parseAddress(last) + 1;
    if (more.length === 0 && end > base) return { base, end };
  } catch {
    // The complaint below says what is wanted.
  }
  throw new UsageError(`"${text}" is no ${what} and no range of them`, {
    hint: `--${what} 0x3f8 or 0x3f8-0x3ff`,
  });
}
