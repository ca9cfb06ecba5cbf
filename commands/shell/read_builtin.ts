/**
 * `read`: a line into variables (POSIX.1-2017 XCU, read).
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { variableName } from "./builtin_usage.ts";
import { lineOf } from "./input.ts";

/** What IFS is unless somebody sets it. */
const DEFAULT_IFS = " \t\n";

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** The word. */
export const readBuiltin: Builtin = {
  usage: "[-r] [-p PROMPT] NAME…",
  summary: "Read a line into variables",
  run: async (words, place) => {
    const { raw, prompt, names } = parse(words);
    const { session, context, streams } = place;
    if (prompt !== undefined && streams.isTerminal(0)) session.note(prompt, streams);
    let ended = false;
    const line: Character[] = [];
    for (;;) {
      const text = await nextLine(place);
      ended = !text.endsWith("\n");
      const goesOn = append(line, ended ? text : text.slice(0, -1), raw);
      if (!goesOn || ended) break;
    }
    context.signal.throwIfAborted();
    const values = split(line, names.length, session.variables.get("IFS") ?? DEFAULT_IFS);
    for (const [i, name] of names.entries()) session.variables.set(name, values[i] ?? "");
    return Number(ended);
  },
};

function parse(words: readonly string[]): { raw: boolean; prompt?: string; names: string[] } {
  let raw = false;
  let prompt: string | undefined;
  let at = 0;
  for (; at < words.length && /^-./.test(words[at]!); at++) {
    if (words[at] === "-r") raw = true;
    else if (words[at] === "-p") prompt = words[++at] ?? "";
    else throw new UsageError(`There is no flag ${words[at]}`, { hint: "read [-r] NAME…" });
  }
  const names = words.slice(at).map(variableName);
  if (names.length === 0) throw new UsageError("Name a variable", { hint: "read -r LINE" });
  return { raw, ...(prompt === undefined ? {} : { prompt }), names };
}

/** A line with its newline; the person's terminal gives them one by one. */
async function nextLine({ session, streams, context }: BuiltinPlace): Promise<string> {
  const descriptor = streams.get(0);
  if (descriptor === undefined) return "";
  const { terminal } = session;
  if (terminal === undefined || !streams.isTerminal(0)) {
    return await lineOf(descriptor, context.signal);
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const byte = new Uint8Array(1);
  let line = "";
  while (!line.endsWith("\n")) {
    const count = await terminal.read(byte);
    if (count === null || count === 0 || context.signal.aborted) break;
    // Enter is a carriage return if it was typed before the terminal had lines (termios(3), ICRNL).
    if (byte[0] === CARRIAGE_RETURN) byte[0] = NEWLINE;
    line += decoder.decode(byte, { stream: true });
  }
  return line;
}

/** A character of the line; an escaped one separates nothing. */
interface Character {
  readonly text: string;
  readonly escaped: boolean;
}

/** Adds a line's characters; true if it ends in a backslash and so goes on. */
function append(line: Character[], text: string, raw: boolean): boolean {
  let escaped = false;
  for (const character of text) {
    if (character === "\\" && !raw && !escaped) {
      escaped = true;
      continue;
    }
    line.push({ text: character, escaped });
    escaped = false;
  }
  return escaped;
}

/** Splits where IFS says; the last value is all that is left. */
function split(line: readonly Character[], count: number, ifs: string): string[] {
  const isBlank = (c: Character | undefined) =>
    c !== undefined && !c.escaped && ifs.includes(c.text) && DEFAULT_IFS.includes(c.text);
  const isMark = (c: Character | undefined) =>
    c !== undefined && !c.escaped && ifs.includes(c.text) && !DEFAULT_IFS.includes(c.text);
  const values: string[] = [];
  let at = 0;
  const skipBlanks = () => {
    while (isBlank(line[at])) at++;
  };
  skipBlanks();
  while (values.length < count - 1 && at < line.length) {
    let value = "";
    while (at < line.length && !isBlank(line[at]) && !isMark(line[at])) value += line[at++]!.text;
    values.push(value);
    skipBlanks();
    if (isMark(line[at])) {
      at++;
      skipBlanks();
    }
  }
  values.push(rest(line.slice(at), isBlank, isMark));
  return values;
}

/** The last value: blanks at its end are none of it, nor a mark if it is the only one. */
function rest(
  line: readonly Character[],
  isBlank: (c: Character | undefined) => boolean,
  isMark: (c: Character | undefined) => boolean,
): string {
  const text = (end: number) => line.slice(0, end).map(({ text }) => text).join("");
  let end = line.length;
  while (isBlank(line[end - 1])) end--;
  if (!isMark(line[end - 1])) return text(end);
  let before = end - 1;
  while (isBlank(line[before - 1])) before--;
  const only = line.slice(0, before).every((c) => !isMark(c) && !isBlank(c));
  return text(only ? before : end);
}
