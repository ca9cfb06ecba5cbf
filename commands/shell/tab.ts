/**
 * What Tab does to the text that is edited. Pure.
 *
 * @module
 */
import { commonStart } from "./candidate_list.ts";
import type { Completion } from "./completer.ts";
import { inserted, type LineBuffer } from "./line_buffer.ts";

/** What Tab did. */
export type TabStep =
  /** There is nothing that could stand there. */
  | { readonly kind: "nothing" }
  /** It wrote the one word, or what all words have in common. */
  | { readonly kind: "written"; readonly buffer: LineBuffer }
  /** There are several, which have no more in common than what is there. */
  | { readonly kind: "undecided" };

/**
 * Puts into a text what its completion says.
 *
 * @param buffer The text; the completion is of what is before its cursor
 * @param completion What may stand there
 */
export function tabbed(buffer: LineBuffer, { replaced, candidates }: Completion): TabStep {
  const [only, another] = candidates;
  if (only === undefined) return { kind: "nothing" };
  const start = another === undefined
    ? only.written
    : commonStart(candidates.map(({ written }) => written));
  if (start.length <= replaced.length) return { kind: "undecided" };
  const { text, cursor } = buffer;
  const before = text.slice(0, cursor - replaced.length);
  const after = inserted(
    { ...buffer, text: before + text.slice(cursor), cursor: before.length, last: "other" },
    start,
  );
  // One step back takes away all that Tab wrote, and nothing else.
  return {
    kind: "written",
    buffer: { ...after, before: [...buffer.before, { text, cursor }], last: "other" },
  };
}
