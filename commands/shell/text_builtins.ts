/**
 * `echo`, `true` and `false`, as dash has them.
 *
 * @module
 */
import type { Builtin } from "./builtin.ts";

const ESCAPES: Readonly<Record<string, string>> = {
  "\\a": "\x07",
  "\\b": "\b",
  "\\f": "\f",
  "\\n": "\n",
  "\\r": "\r",
  "\\t": "\t",
  "\\v": "\v",
  "\\\\": "\\",
};

/** These words. */
export const textBuiltins: Readonly<Record<string, Builtin>> = {
  echo: {
    usage: "[-n] [WORD…]",
    summary: "Print words",
    plain: true,
    run: async (words, { context }) => {
      const open = words[0] === "-n";
      const text = (open ? words.slice(1) : words).join(" ");
      await context.write(escaped(open ? text : `${text}\n`));
      return 0;
    },
  },
  true: { usage: "", summary: "Succeed", plain: true, run: () => 0 },
  ":": { usage: "", summary: "Succeed", plain: true, run: () => 0 },
  false: { usage: "", summary: "Fail", plain: true, run: () => 1 },
};

/** What a text's escapes stand for (XSI's echo); `\c` stops. */
function escaped(text: string): Uint8Array {
  const encoder = new TextEncoder();
  if (!text.includes("\\")) return encoder.encode(text);
  const bytes: number[] = [];
  for (let at = 0; at < text.length;) {
    const two = text.slice(at, at + 2);
    if (two === "\\c") return Uint8Array.from(bytes);
    const [octal, digits] = /^\\0([0-7]{0,3})/.exec(text.slice(at, at + 5)) ?? [];
    if (octal !== undefined) {
      bytes.push(parseInt(digits || "0", 8) & 0xff);
      at += octal.length;
    } else if (Object.hasOwn(ESCAPES, two)) {
      bytes.push(...encoder.encode(ESCAPES[two]));
      at += 2;
    } else {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      bytes.push(...encoder.encode(character));
      at += character.length;
    }
  }
  return Uint8Array.from(bytes);
}
