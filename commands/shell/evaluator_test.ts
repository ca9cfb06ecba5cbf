import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { FakeShell } from "../../tests/fake_session.ts";

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
  assert.equal(await shell.run("count 1 | double | marked"), "true\n");
  assert.equal(await shell.run("count 1 | cat | marked"), "false\n");
  assert.equal(await shell.run("count 1 2> /dev/null | marked"), "true\n");
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

Deno.test("a loop of built-ins ends with its reader, where a person types too", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("while :; do echo y; done | head -n 1"), "y\n");
  assert.equal(shell.session.leaving, undefined);
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
  assert.equal(await shell.run("exit 5; count 1"), "");
  assert.equal(shell.session.leaving, 5);
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
  assert.match(await shell.run("set"), /^a='1 {2}2'$/m);
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
    assert.match(shell.notes, /is a directory/);
  }));

Deno.test("a file that takes no more is told, and ends what writes to it", async () => {
  const shell = new FakeShell();
  await shell.run("flood > /dev/full");
  assert.match(shell.notes, /^hvsh: flood: stdout: write: no space left/);
  assert.equal(shell.session.status, 125);
  await shell.run("flood | cat > /dev/full 2> /dev/null");
  assert.equal(shell.session.status, 1);
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
    assert.match(await shell.run("help"), /Only in the shell:\n {2}use /);
  }));

Deno.test("the VM in use is what live verbs are about where none is named", async () => {
  const shell = new FakeShell();
  await shell.run("use nobody");
  assert.match(shell.notes, /There is no live VM called "nobody"/);
  await shell.run("name");
  assert.equal(shell.session.status, 2);
  assert.equal(await shell.run("use web; use"), "web\n");
  assert.equal(shell.session.current, "web");
  assert.equal(
    await shell.run("name; name 0x7c00; name boot; name boot x; name 'b*'"),
    ["web -\n", "web 0x7c00\n", "boot -\n", "boot x\n", "b* -\n"].join(""),
  );
  assert.equal(await shell.run("count 1 | name boot"), "boot -\n");
  await shell.run("count 1 | name");
  assert.equal(shell.session.status, 2);
  await shell.run("name a b");
  assert.match(shell.notes, /name a b\n {9}\^\n/);
  await shell.run("use -; use");
  assert.equal(shell.session.status, 1);
});

Deno.test("wait, kill and break are the shell's with jobs and in loops, and verbs with names", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("for i in 1 2; do count $i; break; done"), '{"i":1}\n');
  await shell.run("break");
  assert.match(shell.notes, /no verb and no program in PATH called "break"/);
  await shell.run("wait web");
  assert.match(shell.notes, /no verb and no program in PATH called "wait"/);
  await shell.run("kill -INT %7");
  assert.match(shell.notes, /There is no job %7/);
});

Deno.test("a job of verbs outlives an interruption of the line, and kill ends it", async () => {
  const shell = new FakeShell();
  assert.equal(await shell.run("linger & count 1"), '{"i":1}\n');
  assert.equal(await shell.run("jobs"), "[1] Running    linger\n");
  shell.onNote = (text) => text === "lingering" && shell.interrupt.abort();
  await shell.run("linger");
  assert.equal(shell.session.status, 130);
  const [job] = shell.session.jobs.running;
  assert.equal(job!.status, undefined);
  const again = new FakeShell();
  await again.run("linger & kill %1; wait %1");
  assert.equal(again.session.status, 143);
  job!.kill(15, true);
  await job!.ended;
});

Deno.test("a verb whose environment is its own runs in a process of its own", async () => {
  const shell = new FakeShell();
  const before = Deno.env.toObject();
  // The process knows the table's verbs, not these.
  await shell.run("hvsh_test=1 count 1 2> /dev/null");
  assert.equal(shell.session.status, 2);
  await shell.run("(export hvsh_test=1; count 1 2> /dev/null)");
  assert.equal(shell.session.status, 2);
  assert.deepEqual(Deno.env.toObject(), before);
});

Deno.test("what a verb complains of goes where its stderr goes", () =>
  inFolder(async () => {
    const shell = new FakeShell();
    await shell.run("fail 2> said; linger 2>> said | status 0");
    assert.equal(shell.notes, "");
    assert.equal(
      await Deno.readTextFile("said"),
      "hvsh: fail: It went wrong\n  try: do it right\nlingering\n",
    );
  }));

Deno.test("what is wrong with a command's words is said where its own stderr goes", () =>
  inFolder(async () => {
    const shell = new FakeShell();
    assert.equal(
      await shell.run("status --bogus 2> log || cat log"),
      [
        "hvsh: status: There is no flag --bogus",
        "  status --bogus 2> log || cat log",
        "         ^",
        "  try: hvsh status --help",
        "",
      ].join("\n"),
    );
    await shell.run("nosuch > /dev/null 2>&1; nosuch 2> /dev/null | cat");
    assert.equal(shell.session.status, 127);
    assert.equal(shell.notes, "");
    await Deno.writeTextFile("keep", "kept");
    await shell.run("nosuch > keep");
    assert.match(shell.notes, /no verb and no program in PATH called "nosuch"/);
    assert.equal(await Deno.readTextFile("keep"), "kept");
  }));

Deno.test("help explains topics, words of the shell and verbs", async () => {
  const shell = new FakeShell();
  assert.match(await shell.run("help"), /help quoting/);
  assert.match(await shell.run("help pipes"), /a \| b/);
  assert.match(await shell.run("help cd"), /^cd \[FOLDER/);
  await shell.run("help pips");
  assert.match(shell.notes, /There is no help for "pips"\n {2}try: did you mean pipes\?/);
});

Deno.test("functions and texts that run themselves without end are an error", async () => {
  for (const line of ["f() { f; }; f", 'x=\'eval "$x"\'; eval "$x"', "f() { eval f; }; f"]) {
    const shell = new FakeShell({ interactive: false });
    await shell.run(line);
    assert.equal(shell.session.leaving, 2);
    assert.match(shell.notes, /more than 1000 deep/);
  }
});
