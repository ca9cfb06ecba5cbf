/**
 * Tab: what may stand where the cursor is, from the table of verbs and from what there is to name.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { type Candidate, plain } from "../completions/candidate.ts";
import type { LiveSource, ValuePlace } from "../completions/live_values.ts";
import { flagsLeft, verbPlace } from "../completions/verb_place.ts";
import type { ValueKind, Verb } from "../verb.ts";
import { builtins } from "./builtins.ts";
import { builtinWords, PREFIXES } from "./builtin_words.ts";
import { type CompletionPoint, completionPoint } from "./completion_point.ts";
import { fileNames, programNames } from "./path_names.ts";
import type { Session } from "./session.ts";
import { withVmInUse } from "./vm_in_use.ts";

/** What Tab may make of a line. */
export interface Completion {
  /** The end of the line that is replaced. */
  readonly replaced: string;
  /** What it may become; each starts with what is replaced. */
  readonly candidates: readonly WrittenCandidate[];
}

/** A word that may stand there, and how it is to be written. */
export interface WrittenCandidate extends Candidate {
  readonly written: string;
}

const NOTHING: Completion = { replaced: "", candidates: [] };

/** Completes the lines of a session. */
export class Completer {
  readonly #session: Session;
  readonly #live: LiveSource;

  /**
   * @param session The shell
   * @param live Knows the live VMs
   */
  constructor(session: Session, live: LiveSource) {
    this.#session = session;
    this.#live = live;
  }

  /**
   * Completes.
   *
   * @param text The line up to the cursor
   * @returns What may stand there
   */
  async complete(text: string): Promise<Completion> {
    try {
      return await this.#complete(text);
    } catch (error) {
      // What cannot be listed now is no reason to disturb who types.
      if (error instanceof HvshError || "code" in (error as Error)) return NOTHING;
      throw error;
    }
  }

  async #complete(text: string): Promise<Completion> {
    const { variables } = this.#session;
    const point = completionPoint(text, (name) => variables.get(name) ?? "");
    if (point === undefined) return NOTHING;
    if (point.variable !== undefined) return this.#variable(point.raw, point.variable);
    const found = await this.#candidates(point);
    const fitting = new Map(
      found.filter(({ word }) => word.startsWith(point.word)).map((c) => [c.word, c]),
    );
    return {
      replaced: point.raw,
      candidates: [...fitting.values()].map((candidate) => ({
        ...candidate,
        written: written(candidate, point),
      })),
    };
  }

  #variable(raw: string, start: string): Completion {
    const head = raw.slice(0, raw.length - start.length);
    const end = head.endsWith("{") ? "}" : "";
    const names = this.#session.variables.names().filter((name) => name.startsWith(start));
    return {
      replaced: raw,
      candidates: names.map((word) => ({ word, written: head + word + end })),
    };
  }

  async #candidates(point: CompletionPoint): Promise<Candidate[]> {
    const { word, host, before, redirected } = point;
    const { cwd } = this.#session;
    if (redirected) return await fileNames(word, cwd);
    // Lines of documentation begin with hvsh.
    const [name, ...words] = before[0] === "hvsh" ? before.slice(1) : before;
    if (name === undefined) return await this.#commands(word, host);
    if (PREFIXES.has(name) && words.length === 0) return await this.#commands(word, false);
    // Some words are both: `wait %1` is the shell's, `wait web` the verb.
    const own = Object.hasOwn(builtins, name)
      ? await builtinWords(name, word, this.#session, this.#live)
      : [];
    const verb = name === "help" ? undefined : await this.#session.verbs.load(name);
    if (verb !== undefined) return [...await this.#verbWords(verb, words, word), ...own];
    return Object.hasOwn(builtins, name) ? [...own] : await fileNames(word, cwd);
  }

  async #commands(word: string, host: boolean): Promise<Candidate[]> {
    if (word.includes("/")) return await fileNames(word, this.#session.cwd);
    const path = this.#session.variables.get("PATH") ?? "";
    if (host) return await programNames(path);
    const own = await this.#ownCommands(word);
    return own.length > 0 ? own : await programNames(path);
  }

  /** Few enough to be read come with what they are for. */
  async #ownCommands(word: string): Promise<Candidate[]> {
    const { verbs } = this.#session;
    const names = verbs.names.filter((name) => name.startsWith(word));
    const own = Object.entries(builtins).filter(([name, { plain }]) =>
      name.startsWith(word) && (word !== "" || plain !== true)
    );
    const functions = [...this.#session.functions.keys()];
    const rows = word === "" ? [] : await Promise.all(names.map((name) => verbs.load(name)));
    return [
      ...names.map((word, i) => ({ word, ...helpOf(rows[i]?.summary) })),
      ...own.map(([word, { summary }]) => ({ word, ...helpOf(summary) })),
      ...functions.filter((name) => name.startsWith(word))
        .map((word) => ({ word, help: "a function" })),
    ];
  }

  /** With a VM in use, its name may be left out. */
  async #verbWords(verb: Verb, words: readonly string[], word: string): Promise<Candidate[]> {
    const meant = await withVmInUse(verb, words, this.#session);
    const found = await this.#wordsAt(verb, words, word);
    return meant === words ? found : [...found, ...await this.#wordsAt(verb, meant, word)];
  }

  async #wordsAt(verb: Verb, words: readonly string[], word: string): Promise<Candidate[]> {
    const place = verbPlace(verb, words, word);
    const { kind, prefix, line, flags } = place;
    if (kind === "device-verb" && line !== undefined && line.length > 0) {
      const builder = await this.#session.verbs.load(line[0]!);
      return builder === undefined ? [] : await this.#wordsAt(builder, line.slice(1), word);
    }
    const left = flags ? flagsLeft(verb, words) : [];
    if (flags && word.startsWith("-")) return left;
    if (kind === undefined) return word === "" ? left : [];
    const meant = { before: place.before, vm: place.vm ?? this.#session.current };
    if (namesSymbols(verb)) this.#live.prepareSymbols(meant);
    const values = await this.#values(kind, meant, word.slice(prefix.length));
    if (values.length === 0 && word === "") return left;
    return values.map((value) => ({ ...value, word: prefix + value.word }));
  }

  async #values(kind: ValueKind, place: ValuePlace, word: string): Promise<Candidate[]> {
    if (typeof kind !== "string") return plain(kind);
    switch (kind) {
      case "text":
      case "number":
      case "size":
      case "address":
      case "seconds":
        return [];
      case "path":
        return await fileNames(word, this.#session.cwd);
      case "device-verb":
        return await this.#deviceVerbs();
      default:
        return [...await this.#live.values(kind, place, word)];
    }
  }

  /** The builders that add a device: those of which `run` takes whole lines. */
  async #deviceVerbs(): Promise<Candidate[]> {
    const { verbs } = this.#session;
    const rows = await Promise.all(verbs.names.map((name) => verbs.load(name)));
    return rows.filter((row) => row?.inline?.value === "line" && row.name !== "map")
      .map((row) => ({ word: row!.name, help: row!.summary }));
  }
}

function namesSymbols(verb: Verb): boolean {
  return verb.arguments.some(({ value, behind }) => value === "symbol" || behind === "symbol");
}

function helpOf(summary: string | undefined): { help?: string } {
  return summary === undefined || summary === "" ? {} : { help: summary };
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
