import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { type Grammar, parseWords, WordError } from "./argv.ts";

const grammar: Grammar = {
  name: "boot",
  flags: {
    memory: { short: "m", value: "size", metavar: "SIZE", help: "" },
    mode: { value: ["real", "long"], help: "" },
    mask: { value: "text", repeat: true, help: "" },
    detach: { short: "d", help: "" },
    quiet: { short: "q", help: "" },
    timeout: { short: "t", value: "seconds", help: "" },
  },
  arguments: [
    { name: "IMAGE", value: "path", help: "" },
    { name: "KEY=VALUE", value: "text", optional: true, repeat: true, help: "" },
  ],
  rest: { name: "COMMAND", value: "text", help: "" },
};
const { rest: _rest, ...withoutRest } = grammar;

function failure(argv: readonly string[], of: Grammar = grammar): WordError {
  try {
    parseWords(of, argv);
  } catch (error) {
    if (error instanceof WordError) return error;
    throw error;
  }
  throw new Error(`${argv.join(" ")} was taken`);
}

Deno.test("a flag's value is the next word, behind = or attached to its letter", () => {
  for (const words of [["--memory", "1K"], ["--memory=1K"], ["-m", "1K"], ["-m1K"]]) {
    deepEqual(parseWords(grammar, [...words, "k"]), { memory: 1024, image: "k" });
  }
});

Deno.test("switches of one letter stand together, with a value behind the last", () => {
  deepEqual(parseWords(grammar, ["-dqm1M", "k"]), {
    detach: true,
    quiet: true,
    memory: 2 ** 20,
    image: "k",
  });
});

Deno.test("flags stand before, between and behind arguments", () => {
  const words = { image: "k", key: ["a=1", "b=2"], mask: ["x", "y"] };
  deepEqual(parseWords(grammar, ["--mask", "x", "k", "a=1", "--mask=y", "b=2"]), words);
});

Deno.test("- is a value, -- ends the flags", () => {
  deepEqual(parseWords(withoutRest, ["-", "--", "--detach", "-q"]), {
    image: "-",
    key: ["--detach", "-q"],
  });
});

Deno.test("a verb with a rest gets the words behind --, flags or not", () => {
  const words = { image: "k", command: ["uname", "-r", "--", "x"] };
  deepEqual(parseWords(grammar, ["k", "--", "uname", "-r", "--", "x"]), words);
  equal(failure(["k", "--"]).message, "There is no COMMAND behind --");
});

Deno.test("the last of a flag that does not repeat counts", () => {
  deepEqual(parseWords(grammar, ["-m1", "-m2", "k"]), { memory: 2, image: "k" });
});

Deno.test("times have units", () => {
  for (const [text, seconds] of [["5", 5], ["0.5", 0.5], ["500ms", 0.5], ["2m", 120]] as const) {
    deepEqual(parseWords(grammar, ["-t", text, "k"]), { timeout: seconds, image: "k" });
  }
});

Deno.test("--help and -h ask for help, wherever they stand and whatever is missing", () => {
  for (const words of [["--help"], ["-h"], ["-dh"], ["k", "--help"]]) {
    equal(parseWords(grammar, words).help, true);
  }
  equal(parseWords(grammar, ["k", "--", "--help"]).help, undefined);
});

Deno.test("an error names the word, its place and the nearest that exists", () => {
  const cases: [string[], index: number, offset: number, message: string, hint?: string][] = [
    [["k", "--memry", "1"], 1, 0, "There is no flag --memry", "did you mean --memory?"],
    [["--xyzzy", "k"], 0, 0, "There is no flag --xyzzy", "hvsh boot --help"],
    [["-dx", "k"], 0, 2, "There is no flag -x", "hvsh boot --help"],
    [["-m", "12Q", "k"], 1, 0, '--memory: Cannot parse the size "12Q": ' + UNITS],
    [["--memory=12Q", "k"], 0, 9, '--memory: Cannot parse the size "12Q": ' + UNITS],
    [["k", "-m"], 2, 0, "--memory needs a SIZE"],
    [["--detach=yes", "k"], 0, 8, "--detach takes no value"],
    [
      ["--mode", "rael", "k"],
      1,
      0,
      '--mode: "rael" is not one of real, long',
      "did you mean real?",
    ],
    [["-d"], 1, 0, "IMAGE is missing"],
    [[""], 0, 0, "IMAGE: It is empty"],
  ];
  for (const [argv, index, offset, message, hint] of cases) {
    const error = failure(argv);
    deepEqual([error.message, error.index, error.offset, error.hint], [
      message,
      index,
      offset,
      hint,
    ]);
    equal(error.exitStatus, 2);
  }
  const single: Grammar = { name: "x", flags: {}, arguments: [] };
  equal(failure(["a", "b"], single).message, '"a" is one word too many');
});
const UNITS = "the unit is not one of K, M, G, T";

Deno.test("any words at all give words or a WordError whose place is in the line", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom("--", "-", "--memory", "-m", "-dq", "--mask=", "--__proto__", "--mode=real"),
  );
  fc.assert(fc.property(fc.array(word), (argv) => {
    try {
      parseWords(grammar, argv);
    } catch (error) {
      if (!(error instanceof WordError)) throw error;
      const { index, offset } = error;
      return index <= argv.length && offset <= (argv[index]?.length ?? 0);
    }
    return true;
  }));
});

Deno.test("words that are written by the grammar come back from it", () => {
  const value = fc.string({ minLength: 1 }).filter((text) => !text.startsWith("-"));
  const words = fc.record({
    mask: fc.array(fc.string(), { minLength: 1 }),
    image: value,
    key: fc.array(value, { minLength: 1 }),
    command: fc.array(fc.string(), { minLength: 1 }),
  });
  fc.assert(fc.property(words, (words) => {
    const argv = [
      ...words.mask.map((text) => `--mask=${text}`),
      words.image,
      ...words.key,
      "--",
      ...words.command,
    ];
    deepEqual(parseWords(grammar, argv), words);
  }));
});

Deno.test("a name that objects have by nature is no flag", () => {
  throws(() => parseWords(grammar, ["--constructor", "k"]), WordError);
  throws(() => parseWords(grammar, ["--toString=1", "k"]), WordError);
});
