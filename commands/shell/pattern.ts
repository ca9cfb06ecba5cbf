/**
 * Patterns of sh (POSIX.1-2017 XCU 2.13.1 and 2.13.2): `*`, `?` and `[…]`, where a backslash makes
 * the next character stand for itself.
 *
 * @module
 */

/** Whether a pattern is more than text. */
const ACTIVE = /[*?]|\[.+\]/s;
const CLASSES: Readonly<Record<string, string>> = {
  alnum: "\\p{L}\\p{Nd}",
  alpha: "\\p{L}",
  blank: " \\t",
  cntrl: "\\p{Cc}",
  digit: "0-9",
  graph: "!-~",
  lower: "\\p{Ll}",
  print: " -~",
  punct: "!-\\/:-@\\[-`\\{-~",
  space: "\\s",
  upper: "\\p{Lu}",
  xdigit: "0-9A-Fa-f",
};

/**
 * @param pattern A pattern
 * @returns Whether it can match anything but its own text
 */
export function isPattern(pattern: string): boolean {
  return ACTIVE.test(pattern.replace(/\\./gs, ""));
}

/**
 * Makes characters stand for themselves.
 *
 * @param text Some text
 * @returns A pattern that matches it alone
 */
export function literal(text: string): string {
  return text.replace(/[\\*?[\]!^-]/g, "\\$&");
}

/**
 * The text that a pattern without active characters stands for.
 *
 * @param pattern A pattern
 * @returns It without its backslashes
 */
export function unescaped(pattern: string): string {
  return pattern.replace(/\\(.)/gs, "$1");
}

/**
 * Makes a regular expression of a pattern.
 *
 * @param pattern The pattern
 * @param repeat What a `*` becomes: `.*`, or as little as possible
 * @returns Its source, for the flags `su`
 */
export function patternSource(pattern: string, repeat = ".*"): string {
  let source = "";
  for (let at = 0; at < pattern.length;) {
    const character = String.fromCodePoint(pattern.codePointAt(at)!);
    const bracket = character === "[" ? bracketAt(pattern, at) : undefined;
    if (bracket !== undefined) {
      source += bracket.source;
      at = bracket.end;
      continue;
    }
    at += character.length;
    if (character === "*") source += repeat;
    else if (character === "?") source += ".";
    else if (character === "\\" && at < pattern.length) {
      const escaped = String.fromCodePoint(pattern.codePointAt(at)!);
      source += quoted(escaped);
      at += escaped.length;
    } else source += quoted(character);
  }
  return source;
}

/**
 * Whether a pattern matches the whole of a text.
 *
 * @param pattern The pattern
 * @param text The text
 */
export function matches(pattern: string, text: string): boolean {
  return compiled(`^(?:${patternSource(pattern)})$`).test(text);
}

/**
 * Compiles; a range that goes backwards matches nothing.
 *
 * @param source Of a regular expression
 * @returns It
 */
export function compiled(source: string): RegExp {
  try {
    return new RegExp(source, "su");
  } catch {
    return /(?!)/;
  }
}

function quoted(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}

/** `[…]` as a class of a regular expression; undefined if the bracket stands for itself. */
function bracketAt(pattern: string, start: number): { source: string; end: number } | undefined {
  let at = start + 1;
  const negated = pattern[at] === "!" || pattern[at] === "^";
  if (negated) at++;
  let members = "";
  for (let first = true;; first = false) {
    const character = pattern[at];
    if (character === undefined) return undefined;
    if (character === "]" && !first) break;
    const named = character === "[" ? /\[:([a-z]+):\]/y : undefined;
    if (named !== undefined) {
      named.lastIndex = at;
      const [text, name] = named.exec(pattern) ?? [];
      if (text !== undefined && Object.hasOwn(CLASSES, name!)) {
        members += CLASSES[name!];
        at += text.length;
        continue;
      }
    }
    if (character === "\\" && pattern[at + 1] !== undefined) at++;
    const point = String.fromCodePoint(pattern.codePointAt(at)!);
    const range = character === "-" && !first && pattern[at + 1] !== "]";
    members += range ? "-" : point.replace(/[\\\]^[-]/, "\\$&");
    at += point.length;
  }
  return { source: `[${negated ? "^" : ""}${members}]`, end: at + 1 };
}
