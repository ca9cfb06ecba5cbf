import assert from "node:assert/strict";
import { parse, parseStatement } from "./parser.ts";
import { locate, ShellSyntaxError } from "./syntax_error.ts";
import type { Command, Operation, SimpleCommand, Word } from "./tree.ts";

/** Shows a word as text, its quoted parts in «», its variables in ⟨⟩. */
function show(word: Pick<Word, "parts">): string {
  return word.parts.map((part) => {
    const text = shown(part);
    return part.quoted ? `«${text}»` : text;
  }).join("");
}

function shown(part: Word["parts"][number]): string {
  switch (part.kind) {
    case "text":
      return part.text;
    case "variable":
      return `⟨${part.length === true ? "#" : ""}${part.name}${operation(part.operation)}⟩`;
    case "command":
      return `⟨(${part.script.lists.length})⟩`;
    case "arithmetic":
      return `⟨((${show(part)}))⟩`;
  }
}

function operation(given: Operation | undefined): string {
  if (given === undefined) return "";
  return `${given.colon ? ":" : ""}${given.operator}${show({ parts: given.word })}`;
}

function commands(source: string): readonly Command[] {
  return parse(source).lists[0]!.first.commands;
}

function simple(command: Command | undefined): SimpleCommand {
  assert.equal(command?.kind, "simple");
  return command as SimpleCommand;
}

function words(source: string): string[] {
  return simple(commands(source)[0]).words.map(show);
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
  assert.deepEqual(words("$1$23 ${23} $# $@ $!x"), ["⟨1⟩⟨2⟩3", "⟨23⟩", "⟨#⟩", "⟨@⟩", "⟨!⟩x"]);
});

Deno.test("${…} says what becomes of the value", () => {
  assert.deepEqual(words('${a:-b c} ${a-\'x}\'} ${#a} ${#} ${a##*/} ${a%"$b"} "${a:+\'}"'), [
    "⟨a:-b c⟩",
    "⟨a-«x}»⟩",
    "⟨#a⟩",
    "⟨#⟩",
    "⟨a##*/⟩",
    "⟨a%«⟨b⟩»⟩",
    "«⟨a:+«'»⟩»",
  ]);
  assert.deepEqual(words("$((1 + (2))) $((a);(b)) $(a; b # )\n)"), [
    "⟨((«1 + (2)»))⟩",
    "⟨(2)⟩",
    "⟨(2)⟩",
  ]);
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
  const { lists } = parse("! a | b && c || d; e 2< in >> out 3>&1\nf &");
  assert.equal(lists.length, 3);
  const { first, rest } = lists[0]!;
  assert.deepEqual(first.commands.map((c) => simple(c).words.map(show)), [["a"], ["b"]]);
  assert.equal(first.negated, true);
  assert.deepEqual(rest.map((r) => r.operator), ["&&", "||"]);
  assert.deepEqual(
    simple(lists[1]!.first.commands[0]).redirections.map((r) => [
      r.descriptor,
      r.operator,
      show(r.target),
    ]),
    [[2, "<", "in"], [1, ">>", "out"], [3, ">&", "1"]],
  );
  assert.deepEqual(lists.map(({ background }) => background), [false, false, true]);
});

Deno.test("assignments stand before the command's word", () => {
  const command = simple(commands("a=1 b='x y' run c=2")[0]);
  assert.deepEqual(command.assignments.map((a) => [a.name, show(a.value)]), [
    ["a", "1"],
    ["b", "«x y»"],
  ]);
  assert.deepEqual(command.words.map(show), ["run", "c=2"]);
});

Deno.test("^ forces a host program", () => {
  const command = simple(commands("^kill 1")[0]);
  assert.equal(command.host, true);
  assert.deepEqual(command.words.map(show), ["kill", "1"]);
  assert.equal(simple(commands("'^kill' 1")[0]).host, false);
});

Deno.test("a backslash at the end of a line joins it to the next", () => {
  assert.deepEqual(words("create \\\n -m \\\n64M"), ["create", "-m", "64M"]);
  assert.deepEqual(words('x "a\\\nb"'), ["x", "«ab»"]);
});

Deno.test("compound commands are told by their first word, which quotes make a plain one", () => {
  const kinds = (source: string) => commands(source).map(({ kind }) => kind);
  assert.deepEqual(kinds("{ a; } | (b) | if c; then d; fi"), ["group", "subshell", "if"]);
  assert.deepEqual(kinds("for i in 1; do a; done | while a; do b; done"), ["for", "while"]);
  assert.deepEqual(kinds("until a\ndo b\ndone | case a in b) c;; esac"), ["until", "case"]);
  assert.deepEqual(kinds("f() { a; }"), ["function"]);
  assert.deepEqual(kinds("'if' a | echo if then fi { } !"), ["simple", "simple"]);
  assert.deepEqual(commands("{ a; } 2> x > y").map((c) => c.redirections.length), [2]);
});

Deno.test("the lines of a here-document are those behind the line it begins in", () => {
  const [first, second] = simple(commands("cat << A <<- 'B' | x\n1 $v\nA\n\t2 $v\n\tB\n")[0])
    .redirections;
  assert.equal(show(first!.document!), "«1 »«⟨v⟩»«\n»");
  assert.equal(show(second!.document!), "«2 $v\n»");
});

Deno.test("statements are read line by line, with the lines that they go on in", () => {
  const source = "a; b\n\nif c\nthen d\nfi\ncat << E\nx\nE\n# end\n";
  const read: string[] = [];
  for (let at = 0;;) {
    const statement = parseStatement(source, at);
    if (statement === undefined) break;
    read.push(source.slice(at, statement.end));
    at = statement.end;
  }
  assert.deepEqual(read, ["a; b\n", "\nif c\nthen d\nfi\n", "cat << E\nx\nE\n"]);
});

Deno.test("a syntax error points at the text at fault", () => {
  const at = (source: string) => {
    const { span } = failure(source);
    return [locate(source, span.start), source.slice(span.start, span.end)];
  };
  assert.deepEqual(at("create | | run"), [{ line: 1, column: 10 }, "|"]);
  assert.deepEqual(at("create\nrun >; x"), [{ line: 2, column: 6 }, ";"]);
  assert.deepEqual(at("é run &> x"), [{ line: 1, column: 7 }, "&>"]);
  assert.deepEqual(at("a $(b | | c)"), [{ line: 1, column: 9 }, "|"]);
  assert.deepEqual(at("if a; fi"), [{ line: 1, column: 7 }, "fi"]);
  assert.deepEqual(at("a )"), [{ line: 1, column: 3 }, ")"]);
  assert.deepEqual(at("cat << E\nx\n$(b | | c)\nE"), [{ line: 3, column: 7 }, "|"]);
  assert.deepEqual(at("; x"), [{ line: 1, column: 1 }, ";"]);
});

Deno.test("what bash knows and sh does not is an error, not another meaning", () => {
  for (
    const line of [
      "a `b`",
      'a "`b`"',
      "a <<< b",
      "a &> b",
      "a |& b",
      "[[ a == b ]]",
      "function f { a; }",
      "a (b)",
      "a=(b c)",
      "${a/b/c}",
      "${a^^}",
      "case a in b) c;& esac",
      "f( ) b",
      "echo a )",
      "fi",
      "! ! a",
    ]
  ) {
    const { incomplete, message } = failure(line);
    assert.equal(incomplete, false, `${line}: ${message}`);
  }
});

Deno.test("a line that more text could mend says so", () => {
  for (
    const line of [
      ...[
        "a |",
        "a &&\n",
        "a ||",
        "a 'b",
        'a "b',
        "a \\",
        "a ${b",
        "a ${b:",
        'a "\\',
        "a $(b",
        "a $(",
      ],
      ...["if a", "if a; then b", "if a; then b; else", "for i", "for i in a", "while a; do b;"],
      ...["case a", "case a in", "case a in b)", "case a in b) c", "case a in b) c;;", "{ a", "(a"],
      ...["f() {", "f()", "a << E", "a << E\nb", "! ", "a | {", 'a "${b:-"', "a $((1"],
    ]
  ) {
    const { incomplete, message } = failure(line);
    assert.equal(incomplete, true, `${line}: ${message}`);
  }
  assert.equal(failure("a > ;").incomplete, false);
});

Deno.test("what is nested too deep is an error", () => {
  for (
    const open of ["(", "{ ", "$(", "if ", "while ", '"${a:-', "${a:-", "$((", "f() {\n", "! "]
  ) {
    assert.ok(failure(open.repeat(100_000)).message.length > 0, open);
  }
  assert.match(failure("( ".repeat(101) + "a" + " )".repeat(101)).message, /more than 100 deep/);
});

Deno.test("a long line parses in time that grows with its length", () => {
  assert.equal(parse("a && ".repeat(20_000) + "a").lists[0]!.rest.length, 20_000);
  assert.equal(words("w ".repeat(50_000)).length, 50_000);
});

Deno.test("a list knows what of the text it is", () => {
  const source = "{ a; } 2> x & (b) & c | d && e &\nif f; then g; fi ; h";
  const texts = parse(source).lists.map(({ span }) => source.slice(span.start, span.end));
  assert.deepEqual(texts, ["{ a; } 2> x", "(b)", "c | d && e", "if f; then g; fi", "h"]);
});
