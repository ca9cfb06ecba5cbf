/**
 * Patterns of names, as sh has them: `*`, `?` and `[…]`.
 *
 * @module
 */
const SPECIAL = /[*?[]/;

/**
 * Reads a word that may be a pattern.
 *
 * @param word The word
 * @returns What matches the names it stands for; undefined if it is a plain name
 */
export function globPattern(word: string): RegExp | undefined {
  if (!SPECIAL.test(word)) return undefined;
  let source = "";
  for (let at = 0; at < word.length; at++) {
    const set = word[at] === "[" ? /^\[([!^]?)(\]?[^\]]*)\]/.exec(word.slice(at)) : null;
    if (set !== null && set[2] !== "") {
      source += `[${set[1] === "" ? "" : "^"}${set[2]!.replace(/[\\\]^]/g, "\\$&")}]`;
      at += set[0].length - 1;
    } else if (word[at] === "*") source += ".*";
    else if (word[at] === "?") source += ".";
    else source += word[at]!.replace(/[\\^$.*+?()[\]{}|]/, "\\$&");
  }
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /^$(?!)/; // a range that goes backwards matches nothing
  }
}
