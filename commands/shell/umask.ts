/**
 * `umask`, octal or in letters (POSIX.1-2017 XCU, umask), and files that are made under one. A
 * process has one mask and its subshells are in it, so each shell's is in place while it makes files.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { Builtin } from "./builtin.ts";
import { atMost } from "./builtin_usage.ts";

const HINT = "umask 077, or umask g-w,o=";
const ALL = 0o777;
/** What a letter's three bits are moved by. */
const SHIFTS: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const BITS: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 };

/** The word. */
export const umaskBuiltin: Builtin = {
  usage: "[-S] [MASK]",
  summary: "Choose what others may not do with new files",
  run: async (words, { session, context }) => {
    const inLetters = words[0] === "-S";
    const [mask, ...more] = inLetters || words[0] === "--" ? words.slice(1) : words;
    atMost(0, more, HINT);
    if (mask !== undefined) session.umask = maskOf(mask, session.umask);
    else {
      const shown = inLetters ? letters(session.umask) : session.umask.toString(8).padStart(4, "0");
      await context.print(`${shown}\n`);
    }
    return 0;
  },
};

/**
 * Makes files under a mask.
 *
 * @param mask The mask
 * @param make Makes them, now
 * @returns What that gives
 */
export function underUmask<T>(mask: number, make: () => T): T {
  const before = Deno.umask(mask);
  try {
    return make();
  } finally {
    Deno.umask(before);
  }
}

function maskOf(word: string, before: number): number {
  if (/^[0-7]{1,4}$/.test(word)) return parseInt(word, 8) & ALL;
  let allowed = ~before & ALL;
  for (const clause of word.split(",")) {
    const [, who, actions] = /^([ugoa]*)((?:[-+=](?:[rwx]*|[ugo]))+)$/.exec(clause) ?? [];
    if (actions === undefined) throw new UsageError(`"${word}" is no mask`, { hint: HINT });
    for (const [, operator, permissions] of actions.matchAll(/([-+=])([^-+=]*)/g)) {
      for (const shift of shiftsOf(who!)) {
        const bits = bitsOf(permissions!, allowed) << shift;
        if (operator === "=") allowed = (allowed & ~(7 << shift)) | bits;
        else allowed = operator === "+" ? allowed | bits : allowed & ~bits;
      }
    }
  }
  return ~allowed & ALL;
}

function shiftsOf(who: string): number[] {
  const whole = who === "" || who.includes("a") ? "ugo" : who;
  return [...new Set(whole)].map((letter) => SHIFTS[letter]!);
}

/** `rw`, or one of `u`, `g` and `o` whose bits are copied. */
function bitsOf(permissions: string, allowed: number): number {
  if (Object.hasOwn(SHIFTS, permissions)) return (allowed >> SHIFTS[permissions]!) & 7;
  return [...permissions].reduce((bits, letter) => bits | BITS[letter]!, 0);
}

/** What each may do: `u=rwx,g=rx,o=rx`. */
function letters(mask: number): string {
  return Object.entries(SHIFTS).map(([who, shift]) => {
    const allowed = Object.entries(BITS).filter(([, bit]) => ((mask >> shift) & bit) === 0);
    return `${who}=${allowed.map(([letter]) => letter).join("")}`;
  }).join(",");
}
