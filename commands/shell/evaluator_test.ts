import assert from "node:assert/strict";
import { FakeShell, marker } from "./fake_session.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.cwd();
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    Deno.chdir(folder);
    await body(folder);
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("verbs pass objects to each other, not their text", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("count 3 | double | double"), '{"i":4}\n{"i":8}\n{"i":12}\n');
  assert.equal((shell.output.objects[0] as { [marker]: boolean })[marker], true);
});

Deno.test("objects are lines of JSON to a program, and lines objects to a verb", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("count 2 | cat | double"), '{"i":2}\n{"i":4}\n');
  assert.equal(await shell.run("count 2 | sed 's/1/5/' | tail -n 2 | cat > /dev/null"), "");
  assert.equal(shell.session.status, 0);
});

Deno.test("a stage that ends early ends the ones before it, silently", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("flood | first"), '{"i":0}\n');
  assert.equal(await shell.run("flood | head -n 1 | double"), '{"i":0}\n');
  assert.equal(await shell.run("yes '{\"i\":1}' | cat | first | double"), '{"i":2}\n');
  assert.equal(await shell.run("linger | status 3"), "");
  assert.equal(shell.session.status, 3);
  assert.equal(shell.notes, "lingering\n");
});

Deno.test("a pipeline's status is its last stage's, and an earlier failure is told", async () => {
  const shell = new FakeShell();
  await shell.run("fail | status 0");
  assert.equal(shell.session.status, 0);
  assert.equal(shell.notes, "hvsh: fail: It went wrong\n  try: do it right\n");
  await shell.run("count 1 | sh -c 'exit 7'");
  assert.equal(shell.session.status, 7);
  await shell.run("fail");
  assert.equal(shell.session.status, 125);
  await shell.run("^sh -c 'kill -9 $$'");
  assert.equal(shell.session.status, 137);
});

Deno.test("&& and || go by the status before, from the left", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("status 0 && count 1 || count 2"), '{"i":1}\n');
  assert.equal(await shell.run("status 1 && count 1 || count 2"), '{"i":1}\n{"i":2}\n');
  assert.equal(await shell.run("status 0 || count 1"), "");
  assert.equal(await shell.run("status 4; count $?"), '{"i":1}\n{"i":2}\n{"i":3}\n{"i":4}\n');
});

Deno.test("where nobody types, the first failure ends the shell with its status", async () => {
  const shell = new FakeShell({ interactive: false });
  assert.equal(await shell.run("status 1 && count 1; status 2 || count 1"), '{"i":1}\n');
  assert.equal(shell.session.leaving, undefined);
  assert.equal(await shell.run("status 3; count 1"), "");
  assert.equal(shell.session.leaving, 3);
});

Deno.test("exit leaves with a status, or with that of the line before", async () => {
  const shell = new FakeShell();
  await shell.run("exit 5; count 1");
  assert.equal(shell.session.leaving, 5);
  assert.equal(shell.output.text, "");
  const other = new FakeShell();
  await other.run("status 6; exit");
  assert.equal(other.session.leaving, 6);
});

Deno.test("variables are set, split when not quoted, and handed on when exported", async () => {
  const shell = new FakeShell();
  const show = 'sh -c \'printf "{\\"i\\":\\"%s\\"}" "$*"\' x';
  const shown = async (line: string) => (await shell.run(`${line} | first`)).trim();
  assert.equal(await shown(`a='1  2'; ${show} $a "$a" x$a`), '{"i":"1 2 1  2 x1 2"}');
  assert.equal(await shown(`${show} $hvsh_nothing "" y`), '{"i":" y"}');
  assert.equal(await shown(`hvsh_test=q sh -c 'echo {\\"i\\":\\"$hvsh_test\\"}'`), '{"i":"q"}');
  await shell.run("export hvsh_test=z");
  assert.equal(await shown(`sh -c 'echo {\\"i\\":\\"$hvsh_test\\"}'`), '{"i":"z"}');
  await shell.run("unset hvsh_test");
  assert.equal(Deno.env.get("hvsh_test"), undefined);
  assert.equal(await shell.run("set"), "a='1  2'\n");
});

Deno.test("files are read, written and appended to", () =>
  inFolder(async () => {
    const shell = new FakeShell();
    await shell.run("count 2 > a.json; count 1 >> a.json");
    assert.equal(await Deno.readTextFile("a.json"), '{"i":1}\n{"i":2}\n{"i":1}\n');
    assert.equal(await shell.run("double < a.json"), '{"i":2}\n{"i":4}\n{"i":2}\n');
    await shell.run("cat < a.json > b.json; name='c d'; ^cat a.json > $name");
    assert.equal(await Deno.readTextFile("b.json"), await Deno.readTextFile("c d"));
    await shell.run("> empty");
    assert.equal(await Deno.readTextFile("empty"), "");
  }));

Deno.test("a file that cannot be opened is told with a caret, and nothing runs", () =>
  inFolder(async (folder) => {
    const shell = new FakeShell();
    assert.equal(await shell.run("count 1 | double < none"), "");
    assert.equal(
      shell.notes,
      `hvsh: ${folder}/none: open: no such file or directory (ENOENT)\n` +
        "  count 1 | double < none\n" + " ".repeat(21) + "^\n",
    );
    assert.equal(shell.session.status, 125);
    await shell.run("double < .");
    assert.match(shell.notes, /directory/);
  }));

Deno.test("a file that takes no more is told, and ends what writes to it", async () => {
  const shell = new FakeShell();
  for (const line of ["flood > /dev/full", "yes > /dev/full", "flood | cat > /dev/full"]) {
    await shell.run(line);
    assert.match(shell.notes, /^hvsh: \w+: \/dev\/full: write: no space left/, line);
    assert.equal(shell.session.status, 125);
  }
});

Deno.test("a wrong word is told with a caret before anything runs or is overwritten", () =>
  inFolder(async () => {
    await Deno.writeTextFile("keep", "kept");
    const shell = new FakeShell();
    await shell.run("count 1 > keep | status --mode=rael");
    assert.equal(
      shell.notes,
      'hvsh: status: --mode: "rael" is not one of real, long\n' +
        "  count 1 > keep | status --mode=rael\n" + " ".repeat(33) + "^\n" +
        "  try: did you mean real?\n",
    );
    assert.equal(shell.session.status, 2);
    await shell.run("count 1 > keep | cuont");
    assert.equal(
      shell.notes,
      'hvsh: There is no verb and no program in PATH called "cuont"\n' +
        "  count 1 > keep | cuont\n" + " ".repeat(19) + "^\n  try: did you mean count?\n",
    );
    assert.equal(shell.session.status, 127);
    assert.equal(await Deno.readTextFile("keep"), "kept");
  }));

Deno.test("a verb can be written as in sh, with hvsh before it", async () => {
  assert.equal(await new FakeShell().run("hvsh count 1 | hvsh double"), '{"i":2}\n');
});

Deno.test("an interruption ends the line and not the shell", async () => {
  const shell = new FakeShell();
  shell.onNote = () => shell.interrupt.abort();
  assert.equal(await shell.run("linger | cat; count 1"), "");
  assert.equal(shell.session.status, 130);
  assert.equal(shell.session.leaving, undefined);
});

Deno.test("cd and pwd change and show the folder", () =>
  inFolder(async (folder) => {
    const shell = new FakeShell();
    await Deno.mkdir("sub");
    assert.equal(await shell.run("cd sub; pwd; cd -"), `${folder}/sub\n${folder}\n`);
    await shell.run("cd none");
    assert.match(shell.notes, /none: chdir: no such file or directory \(ENOENT\)/);
    assert.equal(await shell.run("history 1"), "    2  run\n");
    assert.match(await shell.run("help"), /Only in the shell:\n {2}cd /);
  }));
