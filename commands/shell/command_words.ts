/**
 * The words of a command, expanded. Behind `export`, `readonly` and `local` those that are
 * assignments are expanded like ones (POSIX.1-2024 XCU 2.9.1.1, declaration utilities).
 *
 * @module
 */
import type { Expanded, Expander } from "./expansion.ts";
import { asAssignment } from "./simple_parser.ts";
import type { Word } from "./tree.ts";

const DECLARATIONS: ReadonlySet<string | undefined> = new Set(["export", "readonly", "local"]);

/**
 * Expands words that are fields alone, as those of a `for` are.
 *
 * @param words The words
 * @param expander Expands one
 * @returns Their fields
 * @throws {WordFailure} If one cannot be expanded
 */
export async function fieldsOf(
  words: readonly Word[],
  expander: Expander,
): Promise<readonly Expanded[]> {
  const fields: (readonly Expanded[])[] = [];
  for (const word of words) fields.push(await expander.words(word));
  return fields.flat();
}

/**
 * Expands the words of a simple command.
 *
 * @param words The words, the command's name among them
 * @param expander Expands one
 * @returns Their fields
 * @throws {WordFailure} If one cannot be expanded
 */
export async function commandWords(
  words: readonly Word[],
  expander: Expander,
): Promise<readonly Expanded[]> {
  if (!declares(words)) return await fieldsOf(words, expander);
  const fields: (readonly Expanded[])[] = [];
  for (const word of words) {
    const assignment = asAssignment(word);
    if (assignment === undefined) fields.push(await expander.words(word));
    else {
      const text = `${assignment.name}=${await expander.assigned(assignment.value)}`;
      fields.push([{ text, span: word.span }]);
    }
  }
  return fields.flat();
}

/** Whether its name is that of a declaration utility, `command` before it or not. */
function declares(words: readonly Word[]): boolean {
  const name = words.findIndex((word) => textOf(word) !== "command");
  return name >= 0 && DECLARATIONS.has(textOf(words[name]!));
}

/** A word that is text alone; undefined if something in it is expanded. */
function textOf({ parts }: Word): string | undefined {
  const [only] = parts;
  return parts.length === 1 && only?.kind === "text" ? only.text : undefined;
}
