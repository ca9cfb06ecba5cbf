/**
 * Where a text stops being JSON. `JSON.parse` says so in words only, and not always.
 *
 * @module
 */

const TOKEN =
  /[\t\n\r ]*(?:([{}[\],:])|("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})|[\x7f-\x9f])*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/uy;

/** What may come next, one state for each place of RFC 8259's grammar. */
type Expected = "value" | "value or ]" | "name" | "name or }" | ":" | ", or ]" | ", or }" | "end";

/**
 * Finds the first token that JSON does not allow where it stands.
 *
 * @param text What `JSON.parse` refused
 * @returns Its offset in UTF-16 units; the length of the text if only its end is missing
 */
export function jsonErrorOffset(text: string): number {
  const stack: ("{" | "[")[] = [];
  let expected: Expected = "value";
  const closed = (): Expected =>
    stack.length === 0 ? "end" : stack.at(-1) === "{" ? ", or }" : ", or ]";
  TOKEN.lastIndex = 0;
  for (;;) {
    const from = skipSpace(text, TOKEN.lastIndex);
    TOKEN.lastIndex = from;
    const match = TOKEN.exec(text);
    if (match === null) return from;
    const token = match[1] ?? (match[2] === undefined ? "scalar" : "string");
    if ((token === "{" || token === "[") && expected.startsWith("value")) {
      stack.push(token);
      expected = token === "{" ? "name or }" : "value or ]";
    } else if (token === "}" && (expected === "name or }" || expected === ", or }")) {
      stack.pop();
      expected = closed();
    } else if (token === "]" && (expected === "value or ]" || expected === ", or ]")) {
      stack.pop();
      expected = closed();
    } else if (token === "string" && expected.startsWith("name")) expected = ":";
    else if ((token === "string" || token === "scalar") && expected.startsWith("value")) {
      expected = closed();
    } else if (token === ":" && expected === ":") expected = "value";
    else if (token === "," && expected === ", or }") expected = "name";
    else if (token === "," && expected === ", or ]") expected = "value";
    else return from;
  }
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && "\t\n\r ".includes(text[at]!)) at++;
  return at;
}
