/**
 * What a completion script is told of a place in a verb's line: words that are known now, files, or a
 * question to hvsh.
 *
 * @module
 */
import { isVmKind, type LiveKind, liveKinds } from "../live_kinds.ts";
import type { Argument, Flag, ValueKind, Verb } from "../verb.ts";

/** What a script offers in a place. */
export type Offer =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "files" }
  /** What `hvsh completions values` prints of this kind. */
  | { readonly kind: "ask"; readonly values: LiveKind }
  | { readonly kind: "nothing" };

/** How a script asks; the kind, the VM and the words before it follow. */
export const ASK = "hvsh completions values";

/** Kinds whose words depend on how the word begins, which these scripts do not say. */
const UNASKED: readonly ValueKind[] = ["condition"];

/**
 * What to offer for a kind of value.
 *
 * @param kind The kind
 */
export function offerOf(kind: ValueKind): Offer {
  if (typeof kind !== "string") return { kind: "words", words: kind };
  if (kind === "path") return { kind: "files" };
  const live = liveKinds.find((live) => live === kind);
  if (live === undefined || UNASKED.includes(live)) return { kind: "nothing" };
  return { kind: "ask", values: live };
}

/**
 * What to offer in the places of a verb's arguments; the last is for all that follow, too, if it repeats.
 *
 * @param verb The verb
 */
export function placesOf({ arguments: given }: Pick<Verb, "arguments">): {
  readonly offers: readonly Offer[];
  readonly repeats: boolean;
} {
  const last = given.at(-1);
  const behind = last?.repeat === true ? behindFirst(last) : undefined;
  return {
    offers: [...given.map(({ value }) => offerOf(value)), ...behind === undefined ? [] : [behind]],
    repeats: behind !== undefined,
  };
}

/** Another verb's words are mostly files. */
function behindFirst({ value, behind, raw }: Argument): Offer {
  return raw === true ? { kind: "files" } : offerOf(behind ?? value);
}

/**
 * Which argument names the VM that a line is about, from 0; -1 if none does.
 *
 * @param verb The verb
 */
export function vmPlace({ arguments: given }: Pick<Verb, "arguments">): number {
  return given.findIndex(({ value }) => isVmKind(value));
}

/**
 * How a flag may be written.
 *
 * @param name Its long name
 * @param flag The flag
 */
export function spellings(name: string, { short }: Flag): string[] {
  return [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
}

/**
 * The spellings of a verb's flags that take a value.
 *
 * @param verb The verb
 */
export function valuedFlags({ flags }: Pick<Verb, "flags">): string[] {
  return Object.entries(flags).filter(([, { value }]) => value !== undefined)
    .flatMap(([name, flag]) => spellings(name, flag));
}
