import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "./parser.ts";
import { ShellSyntaxError } from "./syntax_error.ts";

/** A tree, or an error that points into the text. */
function parsesOrPoints(source: string): void {
  try {
    parse(source);
  } catch (error) {
    if (!(error instanceof ShellSyntaxError)) throw error;
    assert.ok(error.span.start >= 0 && error.span.start <= source.length);
    assert.ok(error.span.end >= error.span.start && error.span.end <= source.length, source);
  }
}

const PIECES = [
  ..."ab ;|&<>'\"\\$#^~={}()`\n\t?0\0é".split(""),
  ..."🂡 $v ${v} a=1 create -m && || >> run $( $(( )) ${v:- << <<- 2> >& ;; ! { }".split(" "),
  ...["if ", "then ", "fi;", "for i in ", "do ", "done\n", "case a in ", "esac ", "f() ", "E\n"],
];

/** Numbers that look random, each below a limit (a 32-bit xorshift). */
function numbersFrom(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** Most random lines are errors, and most of an error's time is its stack. */
function withoutStacks(body: () => void): void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    body();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

Deno.test("100,000 random lines neither crash nor hang the parser", () =>
  withoutStacks(() => {
    const line = fc.array(fc.constantFrom(...PIECES), { maxLength: 24 });
    fc.assert(fc.property(line, (pieces) => parsesOrPoints(pieces.join(""))), { numRuns: 5000 });
    const text = fc.string({ unit: "binary", maxLength: 60 });
    fc.assert(fc.property(text, parsesOrPoints), { numRuns: 5000 });
    // To make lines one by one takes longer than to read them.
    const many = fc.property(fc.nat(), (seed) => {
      const next = numbersFrom(seed);
      for (let i = 0; i < 90; i++) {
        let source = "";
        for (let left = next(24); left > 0; left--) source += PIECES[next(PIECES.length)];
        parsesOrPoints(source);
      }
    });
    fc.assert(many, { numRuns: 1000 });
  }));

/** Lines of the grammar. */
const { script } = fc.letrec<{ script: string; command: string; word: string }>((tie) => ({
  word: fc.oneof(
    { maxDepth: 3, depthIdentifier: "shell" },
    fc.constantFrom("a", "-m", "64M", "'q r'", '"s $t"', "$1", "\\u", "x*"),
    fc.constantFrom("${v}", "${v:-w}", "${#v}", "$((1 + v))", "~"),
    tie("script").map((script) => `$(${script})`),
    tie("word").map((word) => `"\${v:-${word}}"`),
  ),
  command: fc.oneof(
    { maxDepth: 3, depthIdentifier: "shell" },
    fc.array(tie("word"), { minLength: 1, maxLength: 3 }).map((words) => `x ${words.join(" ")}`),
    fc.tuple(tie("command"), tie("word")).map(([command, word]) => `${command} 2> ${word}`),
    tie("script").map((script) => `{ ${script}\n}`),
    tie("script").map((script) => `( ${script} )`),
    fc.tuple(tie("script"), tie("script")).map(([a, b]) => `if ${a}\nthen ${b}\nelse ${b}\nfi`),
    fc.tuple(tie("word"), tie("script")).map(([a, b]) => `for i in ${a}; do ${b}\ndone`),
    fc.tuple(tie("script"), tie("script")).map(([a, b]) => `while ${a}\ndo ${b}\ndone`),
    fc.tuple(tie("word"), tie("script")).map(([a, b]) => `case ${a} in ${a}) ${b};; *) x; esac`),
    tie("script").map((script) => `f() { ${script}\n}`),
  ),
  script: fc.array(
    fc.tuple(tie("command"), fc.constantFrom("; ", " && x ; ", " | ", " || ! ", " & ", "\n")),
    { minLength: 1, maxLength: 3 },
  ).map((commands) => commands.flat().join("") + "x"),
}));

Deno.test("lines of the grammar parse, and changed ones parse or point at the change", () =>
  withoutStacks(() => {
    const changes = ["", ")", "}", "'", "fi", "$("];
    const changed = fc.property(script, fc.nat(), (source, seed) => {
      parse(source);
      const next = numbersFrom(seed);
      for (let i = 0; i < 20; i++) {
        const start = next(source.length + 1);
        const put = changes[next(changes.length)]!;
        parsesOrPoints(source.slice(0, start) + put + source.slice(start + next(8)));
      }
    });
    fc.assert(changed, { numRuns: 500 });
  }));
