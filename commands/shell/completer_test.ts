import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { LiveSource } from "../completions/live_values.ts";
import { isVmKind } from "../live_kinds.ts";
import { Completer } from "./completer.ts";
import { FakeShell } from "../../tests/fake_session.ts";

/** Says what it was asked, in place of a VM. */
const live: LiveSource = {
  values: (kind, { vm, before }) =>
    Promise.resolve(
      isVmKind(kind)
        ? [{ word: "web", help: "running" }, { word: "west", help: "paused" }]
        : [{ word: [kind, vm ?? "no", ...before].join("/") }],
    ),
  prepareSymbols: () => {},
};

function completer(): Completer {
  return new Completer(new FakeShell().session, live);
}

/** The words that the end of a line may become. */
async function candidates(text: string): Promise<string[]> {
  return (await completer().complete(text)).candidates.map(({ written }) => written);
}

Deno.test("a command's word completes to verbs and the shell's own words", async () => {
  assert.deepEqual(await candidates("cou"), ["count "]);
  assert.deepEqual(await candidates("count 1 | dou"), ["double "]);
  assert.deepEqual(await candidates("a=1 count 1 && fi"), ["first "]);
  assert.deepEqual(await candidates("exi"), ["exit "]);
  assert.ok((await candidates("")).length > 8);
});

Deno.test("programs of PATH complete behind ^, and where no verb fits", async () => {
  assert.ok((await candidates("^ca")).includes("^cat "));
  assert.ok((await candidates("prin")).includes("printf "));
  assert.ok(!(await candidates("s")).includes("sed "));
});

Deno.test("a verb's flags and their values complete", async () => {
  assert.deepEqual(await candidates("count --"), ["--mode ", "--quiet ", "--help "]);
  assert.deepEqual(await candidates("count --quiet -"), ["--mode ", "--help "]);
  assert.deepEqual(await candidates("count --mode "), ["real ", "long "]);
  assert.deepEqual(await candidates("count -m l"), ["long "]);
  assert.deepEqual(await candidates("count --mode=r"), ["--mode=real "]);
  assert.deepEqual(await candidates("hvsh count --mo"), ["--mode "]);
  assert.deepEqual(await candidates("linger we"), ["web ", "west "]);
});

Deno.test("paths complete, with blanks and quotes escaped as the word is quoted", async () => {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    Deno.chdir(folder);
    await Deno.mkdir("folder/in side", { recursive: true });
    await Deno.writeTextFile("file's", "");
    await Deno.writeTextFile(".hidden", "");
    assert.deepEqual(await candidates("cat f"), ["file\\'s ", "folder/"]);
    assert.deepEqual(await candidates('cat "f'), ['"file\'s" ', '"folder/']);
    assert.deepEqual(await candidates("cat 'f"), ["'file'\\''s' ", "'folder/"]);
    assert.deepEqual(await candidates("cat folder/"), ["folder/in\\ side/"]);
    assert.deepEqual(await candidates("count 1 >fo"), ["folder/"]);
    assert.deepEqual(await candidates("cd "), ["folder/"]);
    assert.deepEqual(await candidates("cat .h"), [".hidden "]);
    assert.deepEqual(await candidates(`cat ${folder}/fo`), [`${folder}/folder/`]);
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("variables complete where they mean something", async () => {
  assert.ok((await candidates("echo $HO")).includes("$HOME"));
  assert.ok((await candidates('echo "a${HO')).includes('"a${HOME}'));
  assert.deepEqual(await candidates("echo '$HO"), []);
});

Deno.test("a command begins behind the words of the grammar and inside of $(…)", async () => {
  assert.deepEqual(await candidates("if cou"), ["count "]);
  assert.deepEqual(await candidates("if count 1; then dou"), ["double "]);
  assert.deepEqual(await candidates("while ! cou"), ["count "]);
  assert.deepEqual(await candidates("echo $(cou"), ["count "]);
  assert.deepEqual(await candidates('echo "a $(count --mo'), ["--mode "]);
  assert.deepEqual(await candidates('count "$(echo a)" --mo'), ["--mode "]);
  assert.deepEqual(await candidates("(cou"), ["count "]);
  assert.deepEqual(await candidates("sleep 1 & cou"), ["count "]);
  assert.deepEqual(await candidates("command cou"), ["count "]);
  assert.deepEqual(await candidates("echo '$(cou"), []);
});

Deno.test("with a VM in use, words may be about it or name another", async () => {
  const shell = new FakeShell();
  const completer = new Completer(shell.session, live);
  const words = async (text: string) =>
    (await completer.complete(text)).candidates.map(({ written }) => written);
  assert.deepEqual(await words("about "), ["web ", "west "]);
  await shell.run("use boot");
  assert.deepEqual(await words("about "), ["web ", "west ", "symbol/boot "]);
  assert.deepEqual(await words("about web "), ["symbol/web "]);
  assert.deepEqual(await words("use we"), ["web ", "west "]);
});

Deno.test("the shell's words complete to jobs, functions, topics of help and variables", async () => {
  const shell = new FakeShell();
  const completer = new Completer(shell.session, live);
  const words = async (text: string) =>
    (await completer.complete(text)).candidates.map(({ written }) => written);
  await shell.run("greet() { echo hello; }; my_text=1; linger web &");
  assert.deepEqual(await words("gre"), ["greet "]);
  assert.deepEqual(await words("fg "), ["%1 "]);
  assert.deepEqual(await words("help qu"), ["quoting "]);
  assert.deepEqual(await words("unset my_"), ["my_text "]);
  assert.deepEqual(await words("unset gre"), ["greet "]);
  await shell.run("kill %1; wait %1");
});

Deno.test("a comment is no place to complete in", async () => {
  assert.deepEqual(await candidates("count 1 # co"), []);
});

Deno.test("any start of a line completes to what starts with it", async () => {
  const piece = fc.constantFrom(..."co |&<>'\"\\$#^~=-m{".split(""), "count", " --mode ");
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      const { replaced, candidates } = await completer().complete(text);
      assert.ok(text.endsWith(replaced));
      for (const { written } of candidates) assert.ok(written.startsWith(replaced));
    }),
    { numRuns: 100 },
  );
});
