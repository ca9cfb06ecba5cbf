/**
 * Tab: what may stand where the cursor is, from the table of verbs.
 *
 * @module
 */
import type { Argument, Flag, ValueKind, Verb } from "../verb.ts";
import { builtins } from "./builtins.ts";
import { type CompletionPoint, completionPoint } from "./completion_point.ts";
import { fileNames, programNames } from "./path_names.ts";
import type { Session } from "./session.ts";

/** What Tab may make of a line. */
export interface Completion {
  /** The end of the line that is replaced. */
  readonly replaced: string;
  /** What it may become; each starts with what is replaced. */
  readonly candidates: readonly string[];
}

/** A word that may stand there; a `partial` one goes on, as a folder does. */
interface Candidate {
  readonly word: string;
  readonly partial?: boolean;
}

const NOTHING: Completion = { replaced: "", candidates: [] };

/** Completes the lines of a session. */
export class Completer {
  readonly #session: Session;
  readonly #vmNames: () => Promise<readonly string[]>;

  /**
   * @param session The shell
   * @param vmNames Gives the names of live VMs
   */
  constructor(session: Session, vmNames: () => Promise<readonly string[]>) {
    this.#session = session;
    this.#vmNames = vmNames;
  }

  /**
   * Completes.
   *
   * @param text The line up to the cursor
   * @returns What may stand there
   */
  async complete(text: string): Promise<Completion> {
    const { variables } = this.#session;
    const point = completionPoint(text, (name) => variables.get(name) ?? "");
    if (point === undefined) return NOTHING;
    if (point.variable !== undefined) return this.#variable(point.raw, point.variable);
    const found = await this.#candidates(point);
    const candidates = found.filter(({ word }) => word.startsWith(point.word));
    return {
      replaced: point.raw,
      candidates: [...new Set(candidates.map((candidate) => written(candidate, point)))],
    };
  }

  #variable(raw: string, start: string): Completion {
    const head = raw.slice(0, raw.length - start.length);
    const end = head.endsWith("{") ? "}" : "";
    const names = this.#session.variables.names().filter((name) => name.startsWith(start));
    return { replaced: raw, candidates: names.map((name) => head + name + end) };
  }

  async #candidates(point: CompletionPoint): Promise<Candidate[]> {
    const { word, host, before, redirected } = point;
    const { cwd } = this.#session;
    if (redirected) return await fileNames(word, cwd);
    // Lines of documentation begin with hvsh.
    const [name, ...words] = before[0] === "hvsh" ? before.slice(1) : before;
    if (name === undefined) return await this.#commands(word, host);
    if (Object.hasOwn(builtins, name)) return await this.#builtinWords(name, word);
    const verb = await this.#session.verbs.load(name);
    if (verb === undefined) return await fileNames(word, cwd);
    return await this.#verbWords(verb, words, word);
  }

  async #commands(word: string, host: boolean): Promise<Candidate[]> {
    if (word.includes("/")) return await fileNames(word, this.#session.cwd);
    const path = this.#session.variables.get("PATH") ?? "";
    if (host) return await programNames(path);
    const own = [...this.#session.verbs.names, ...Object.keys(builtins)];
    if (own.some((name) => name.startsWith(word)) || word === "") return plain(own);
    return await programNames(path);
  }

  async #builtinWords(name: string, word: string): Promise<Candidate[]> {
    const { cwd, variables, verbs } = this.#session;
    if (name === "help") return plain([...verbs.names, ...Object.keys(builtins)]);
    if (name === "export" || name === "unset") return plain(variables.names());
    return name === "cd" ? await fileNames(word, cwd, { foldersOnly: true }) : [];
  }

  async #verbWords(verb: Verb, words: readonly string[], word: string): Promise<Candidate[]> {
    const dashes = words.indexOf("--");
    if (dashes >= 0) return await this.#values("path", word);
    const { flag, place } = scan(verb, words);
    if (flag !== undefined) return await this.#values(flag.value!, word);
    const [, long] = /^(--[^=]+=)/.exec(word) ?? [];
    if (long !== undefined) {
      const kind = verb.flags[long.slice(2, -1)]?.value;
      const values = kind === undefined ? [] : await this.#values(kind, word.slice(long.length));
      return values.map((value) => ({ ...value, word: long + value.word }));
    }
    const flags = plain(flagsLeft(verb, words));
    if (word.startsWith("-")) return flags;
    const argument = argumentAt(verb, place);
    const values = argument === undefined ? [] : await this.#values(argument.value, word);
    return values.length === 0 && word === "" ? flags : values;
  }

  async #values(kind: ValueKind, word: string): Promise<Candidate[]> {
    if (typeof kind !== "string") return plain(kind);
    if (kind === "path") return await fileNames(word, this.#session.cwd);
    return kind === "vm" ? plain(await this.#vmNames()) : [];
  }
}

function plain(words: readonly string[]): Candidate[] {
  return words.map((word) => ({ word }));
}

/** Which flag waits for its value, and how many arguments stand before. */
function scan(verb: Verb, words: readonly string[]): { flag: Flag | undefined; place: number } {
  let flag: Flag | undefined;
  let place = 0;
  for (const word of words) {
    if (flag !== undefined) flag = undefined;
    else if (word.startsWith("--")) flag = verb.flags[word.slice(2)];
    else if (word.startsWith("-") && word !== "-") flag = shortFlag(verb, word);
    else place++;
    if (flag?.value === undefined) flag = undefined;
  }
  return { flag, place };
}

/** The flag of `-m`, or of the last letter of `-dm`, if its value is not in the same word. */
function shortFlag(verb: Verb, word: string): Flag | undefined {
  for (const letter of word.slice(1)) {
    const flag = Object.values(verb.flags).find(({ short }) => short === letter);
    if (flag?.value !== undefined) return word.endsWith(letter) ? flag : undefined;
  }
  return undefined;
}

function flagsLeft(verb: Verb, words: readonly string[]): string[] {
  const given = new Set(words.map((word) => word.split("=")[0]));
  const left = Object.entries(verb.flags).filter(([name, { short, repeat }]) =>
    repeat === true || !(given.has(`--${name}`) || given.has(`-${short}`))
  );
  return [...left.map(([name]) => `--${name}`), "--help"];
}

function argumentAt(verb: Verb, place: number): Argument | undefined {
  const last = verb.arguments.at(-1);
  return verb.arguments[place] ?? (last?.repeat === true ? last : undefined);
}

/** The word with what is missing, quoted as its start is. */
function written({ word, partial }: Candidate, { raw, word: start, quoting }: CompletionPoint) {
  const rest = word.slice(start.length);
  const end = partial === true ? "" : `${quoting} `;
  return raw + quoted(rest, quoting) + end;
}

function quoted(text: string, quoting: string): string {
  if (quoting === "'") return text.replaceAll("'", "'\\''");
  if (quoting === '"') return text.replace(/[$`"\\]/g, "\\$&");
  return text.replace(/[\s'"\\$`|&;<>()#*?[\]^~]/g, "\\$&");
}
