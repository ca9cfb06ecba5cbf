import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, type SimpleCommand } from "./parser.ts";
import { locate, ShellSyntaxError } from "./syntax_error.ts";

/** Shows a word as text, its quoted parts in «», its variables in ⟨⟩. */
function show(word: SimpleCommand["words"][number]): string {
  return word.parts.map((part) => {
    const text = part.kind === "text" ? part.text : `⟨${part.name}⟩`;
    return part.quoted ? `«${text}»` : text;
  }).join("");
}

function words(source: string): string[] {
  return parse(source).lists[0]!.first.commands[0]!.words.map(show);
}

function failure(source: string): ShellSyntaxError {
  try {
    parse(source);
  } catch (error) {
    assert.ok(error instanceof ShellSyntaxError, String(error));
    return error;
  }
  assert.fail(`${source} parsed`);
}

Deno.test("words are split at blanks and keep what was quoted", () => {
  assert.deepEqual(words("flat  x.bin@0x1000\t-n"), ["flat", "x.bin@0x1000", "-n"]);
  assert.deepEqual(words(`jq -c '.cpus=2' "a $v b" c\\ d`), [
    "jq",
    "-c",
    "«.cpus=2»",
    "«a »«⟨v⟩»« b»",
    "c« »d",
  ]);
  assert.deepEqual(words(`x "" '' a"b"'c'`), ["x", "«»", "«»", "a«b»«c»"]);
});

Deno.test("double quotes keep a backslash that escapes nothing", () => {
  assert.deepEqual(words(String.raw`printf "\xba \" \$v \\"`), [
    "printf",
    String.raw`«\xba " $v \»`,
  ]);
});

Deno.test("variables are $v and ${v}; a $ before anything else is itself", () => {
  assert.deepEqual(words("echo $v-${w}x $? $. $"), ["echo", "⟨v⟩-⟨w⟩x", "⟨?⟩", "$.", "$"]);
});

Deno.test("a leading ~ is the home folder, elsewhere a character", () => {
  assert.deepEqual(words("ls ~ ~/x a~ '~' ~bob"), [
    "ls",
    "«⟨HOME⟩»",
    "«⟨HOME⟩»/x",
    "a~",
    "«~»",
    "~bob",
  ]);
});

Deno.test("# begins a comment only at the start of a word", () => {
  assert.deepEqual(words("echo a#b # rest | ;"), ["echo", "a#b"]);
  assert.equal(parse("# only\n\n  # comments").lists.length, 0);
});

Deno.test("lists, pipelines and redirections nest as in sh", () => {
  const { lists } = parse("a | b && c || d; e < in >> out\nf");
  assert.equal(lists.length, 3);
  assert.deepEqual(lists[0]!.first.commands.map((c) => c.words.map(show)), [["a"], ["b"]]);
  assert.deepEqual(lists[0]!.rest.map((r) => r.operator), ["&&", "||"]);
  assert.deepEqual(
    lists[1]!.first.commands[0]!.redirections.map((r) => [r.operator, show(r.target)]),
    [["<", "in"], [">>", "out"]],
  );
});

Deno.test("assignments stand before the command's word", () => {
  const [command] = parse("a=1 b='x y' run c=2").lists[0]!.first.commands;
  assert.deepEqual(command!.assignments.map((a) => [a.name, show(a.value)]), [
    ["a", "1"],
    ["b", "«x y»"],
  ]);
  assert.deepEqual(command!.words.map(show), ["run", "c=2"]);
});

Deno.test("^ forces a host program", () => {
  const [command] = parse("^kill 1").lists[0]!.first.commands;
  assert.equal(command!.host, true);
  assert.deepEqual(command!.words.map(show), ["kill", "1"]);
  assert.equal(parse("'^kill' 1").lists[0]!.first.commands[0]!.host, false);
});

Deno.test("a backslash at the end of a line joins it to the next", () => {
  assert.deepEqual(words("create \\\n -m \\\n64M"), ["create", "-m", "64M"]);
  assert.deepEqual(words('x "a\\\nb"'), ["x", "«ab»"]);
});

Deno.test("a syntax error points at the text at fault", () => {
  const at = (source: string) => {
    const { span } = failure(source);
    return [locate(source, span.start), source.slice(span.start, span.end)];
  };
  assert.deepEqual(at("create | | run"), [{ line: 1, column: 10 }, "|"]);
  assert.deepEqual(at("create\nrun >; x"), [{ line: 2, column: 6 }, ";"]);
  assert.deepEqual(at("é run 2> x"), [{ line: 1, column: 7 }, "2>"]);
  assert.deepEqual(at("run &"), [{ line: 1, column: 5 }, "&"]);
  assert.deepEqual(at("; x"), [{ line: 1, column: 1 }, ";"]);
});

Deno.test("what sh knows and hvsh does not is an error, not another meaning", () => {
  for (
    const line of [
      "a $(b)",
      "a `b`",
      'a "$(b)"',
      "a 2>&1",
      "a << x",
      "(a)",
      "a & b",
      "a $1",
      "a ${b:-c}",
      "a >| b",
      "a <> b",
    ]
  ) {
    assert.equal(failure(line).incomplete, false, line);
  }
});

Deno.test("a line that more text could mend says so", () => {
  for (const line of ["a |", "a &&\n", "a ||", "a 'b", 'a "b', "a \\", "a ${b", 'a "\\']) {
    assert.equal(failure(line).incomplete, true, line);
  }
  assert.equal(failure("a >").incomplete, false);
});

Deno.test("100,000 random lines neither crash nor hang the parser", () => {
  const piece = fc.constantFrom(
    ..."ab ;|&<>'\"\\$#^~={}()`\n\t?0\0é".split(""),
    ..."🂡 $v ${v} a=1 create -m && || >> run".split(" "),
  );
  const line = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(line, (source) => {
      try {
        parse(source);
      } catch (error) {
        if (!(error instanceof ShellSyntaxError)) throw error;
        assert.ok(error.span.start >= 0 && error.span.start <= source.length);
        assert.ok(error.span.end >= error.span.start);
      }
    }),
    { numRuns: 100_000 },
  );
});

Deno.test("a long line parses in time that grows with its length", () => {
  assert.equal(parse("a && ".repeat(20_000) + "a").lists[0]!.rest.length, 20_000);
  assert.equal(words("w ".repeat(50_000)).length, 50_000);
});
