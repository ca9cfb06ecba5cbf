/** The line editor as a person has it: on a real terminal, its screen read back. */
import assert from "node:assert/strict";
import { ShellOnTerminal } from "../../tests/pty.ts";

/** A shell in a folder of its own, at its first prompt. */
async function atPrompt(
  body: (shell: ShellOnTerminal, folder: string) => Promise<void>,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "hvsh-test-" }));
  try {
    const state = { XDG_STATE_HOME: `${folder}/.state`, XDG_RUNTIME_DIR: folder };
    await using shell = new ShellOnTerminal(folder, { ...state, ...environment });
    await shell.see(/^hvsh, a hypervisor that you can pipe: .*\nhvsh>$/);
    await body(shell, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Leaves it, and looks that the terminal has got back what it was asked for. */
async function leave(shell: ShellOnTerminal): Promise<void> {
  shell.type("\x03\x04");
  assert.equal(await shell.status(), 130);
  assert.ok(shell.written.lastIndexOf("\x1b[?2004l") > shell.written.lastIndexOf("\x1b[?2004h"));
}

Deno.test("Emacs' keys edit the line", () =>
  atPrompt(async (shell) => {
    shell.type("world echo\x17\x01echo hello \x05\x02\x04"); // ^W ^A ^E ^B ^D
    await shell.see(/hvsh> echo hello world$/);
    shell.type("\x1bb\x1bu\x0b\x19\x19"); // M-b, a key without meaning, ^K ^Y ^Y
    await shell.see(/hvsh> echo hello worldworld$/);
    shell.type("\x1f\x1b\x7f\x1b[D\x14\r"); // ^_ M-Backspace Left ^T
    await shell.see(/hvsh> echo hell o\nhell o\nhvsh>$/);
    await leave(shell);
  }));

Deno.test("wide characters and long lines lie where the cursor is, also in another window", () =>
  atPrompt(async (shell) => {
    const line = `echo ${"日本語".repeat(15)}e\u0301x`;
    shell.type(`${line}\x02\x02Z`);
    await shell.see(/^hvsh> echo (日本語){11}日\n本語(日本語){3}Ze\u0301x$/m);
    assert.equal(shell.cursorColumn, 2 * 11 + 1);
    shell.resize(60, 24);
    shell.type("\x05!");
    await shell.see(/hvsh> echo (日本語){8}\n(日本語){7}Ze\u0301x!$/);
    shell.type("\r");
    await shell.see(/\n(日本語){10}\n(日本語){5}Ze\u0301x!\nhvsh>$/);
    await leave(shell);
  }));

Deno.test("a paste runs nothing, completes nothing, and keeps its lines until Enter", () =>
  atPrompt(async (shell) => {
    shell.type("\x1b[200~echo on''e\r\n\techo tw''o\x03\n\x1b[201~");
    await shell.see(/hvsh> echo on''e\n> +echo tw''o\n>$/);
    shell.type("echo 3");
    await shell.see(/>\s+echo tw''o\n> echo 3$/);
    shell.type("\r");
    await shell.see(/> echo 3\none\ntwo\n3\nhvsh>$/);
    shell.type("\x1b[A");
    await shell.see(/3\nhvsh> echo on''e\n> +echo tw''o\n> echo 3$/);
    await leave(shell);
  }));

Deno.test("a statement goes on in lines of its own, which are edited and recalled together", () =>
  atPrompt(async (shell) => {
    shell.type("echo 'one\r");
    await shell.see(/hvsh> echo 'one\n>$/);
    shell.type("two\x1b[A\x05!\x1b[B'\r");
    await shell.see(/hvsh> echo 'one!\n> two'\none!\ntwo\nhvsh>$/);
    shell.type("\x1b[A\x1b[A");
    await shell.see(/two\nhvsh> echo 'one!\n> two'$/);
    shell.type("\x03");
    await shell.see(/> two'\^C\nhvsh>$/);
    await leave(shell);
  }));

Deno.test("up finds lines that start as typed, ^R those that have the letters, ^G gives them up", () =>
  atPrompt(async (shell) => {
    shell.type("echo first\recho second\rtrue\r");
    await shell.see(/second\nhvsh> true\nhvsh>$/);
    shell.type("echo\x1b[A");
    await shell.see(/hvsh> echo second$/);
    shell.type("\x1b[A\x1b[A");
    await shell.see(/hvsh> echo first$/);
    shell.type("\x1b[B\x1b[B");
    await shell.see(/hvsh> echo$/);
    shell.type(" my own\x12fir");
    await shell.see(/\(history\) fir: echo first$/);
    shell.type("\x07");
    await shell.see(/hvsh> echo my own$/);
    shell.type("\x12sec\x05 time\r");
    await shell.see(/hvsh> echo second time\nsecond time\nhvsh>$/);
    await leave(shell);
  }));

Deno.test("Tab writes what words have in common, and once more lists them with their help", () =>
  atPrompt(async (shell, folder) => {
    await Deno.writeTextFile(`${folder}/boot one.bin`, "");
    await Deno.writeTextFile(`${folder}/boot two.bin`, "");
    shell.type("flat bo\t");
    await shell.see(/hvsh> flat boot\\ $|hvsh> flat boot\\$/);
    shell.type("\t");
    await shell.see(/hvsh> flat boot\\\nboot one\.bin +boot two\.bin\nhvsh> flat boot\\$/);
    shell.type("t\t");
    await shell.see(/hvsh> flat boot\\ two\.bin$/);
    shell.type("\x15kernel --\t\t");
    await shell.see(/\n--unpack \S+ +\S.*\n--entry \S+ +\S.*\n--help +\S.*\nhvsh> kernel --$/);
    shell.type("\x15cre\x1b[200~\t\x1b[201~");
    await shell.see(/hvsh> cre$/);
    await leave(shell);
  }));

Deno.test("what is told of a job stands above the line that is typed", () =>
  atPrompt(async (shell, folder) => {
    await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output();
    shell.type("cat pipe &\r");
    await shell.see(/hvsh> cat pipe &\n([^>]*\n)?hvsh>$/);
    shell.type("echo a\x02");
    await shell.see(/hvsh> echo a$/);
    await Deno.writeTextFile(`${folder}/pipe`, "");
    await shell.see(/\n\[1\] Done +cat pipe.*\nhvsh> echo a$/);
    shell.type("b\r");
    await shell.see(/hvsh> echo ba\nba\nhvsh>$/);
    await leave(shell);
  }));

Deno.test("^L clears the screen and leaves the line", () =>
  atPrompt(async (shell) => {
    shell.type("true\rec\x0c");
    await shell.see(/(^|\n)hvsh> ec$/);
    shell.type("ho a\r");
    await shell.see(/hvsh> echo a\na\nhvsh>$/);
    await leave(shell);
  }));

Deno.test("a signal puts the terminal back", () =>
  atPrompt(async (shell) => {
    shell.kill("SIGTERM");
    assert.equal(await shell.status(), 143);
    assert.ok(shell.written.endsWith("\x1b[?2004l"));
  }));

Deno.test("a dumb terminal gets plain lines, and ^C drops one", () =>
  atPrompt(async (shell) => {
    shell.type("echo a\\\r");
    await shell.see(/echo a\\\n>$/);
    shell.type("b\r");
    await shell.see(/> b\nab\nhvsh>$/);
    shell.type("exit 3");
    await shell.see(/hvsh> exit 3$/);
    shell.type("\x03");
    await shell.see(/exit 3\^C\nhvsh>$/);
    shell.type("exit\r");
    assert.equal(await shell.status(), 130);
    assert.equal(shell.written.includes("\x1b"), false, shell.written);
  }, { TERM: "dumb" }));

const LAUNCHER = new URL("../../scripts/hvsh", import.meta.url).pathname;

Deno.test("however the shell is left, the terminal's modes are those it found", async () => {
  const folder = await Deno.makeTempDir({ prefix: "hvsh-test-" });
  try {
    const environment = { PS1: "ready> ", ENV: "", HVSH_DENO: Deno.execPath() };
    const state = { XDG_STATE_HOME: folder, XDG_RUNTIME_DIR: folder };
    await using sh = new ShellOnTerminal(folder, { ...environment, ...state }, ["sh", "-i"]);
    const modes = async () => {
      sh.type("echo mo''des=`stty -g`\n"); // which shows otherwise where it is echoed
      await sh.until("modes=");
      const said = await sh.until("\r");
      await sh.until("ready> "); // what is typed before that is echoed before it
      return said;
    };
    await sh.until("ready> ");
    const before = await modes();
    for (const leave of ["\x04", "exit 3\r", "SIGTERM", "SIGHUP"] as const) {
      sh.type(`sh -c 'echo pi''d=$$; exec ${LAUNCHER}'\n`);
      await sh.until("\npid=");
      const pid = Number(await sh.until("\r"));
      await sh.until("hvsh> ");
      if (leave === "SIGTERM" || leave === "SIGHUP") Deno.kill(pid, leave);
      else sh.type(leave);
      await sh.until("ready> ");
      assert.equal(await modes(), before, JSON.stringify(leave));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
