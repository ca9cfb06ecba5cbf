/** Consoles on a real terminal, with sh on it to tell how they have left it. */
import assert from "node:assert/strict";
import { ECHO } from "../../tests/guest_code.ts";
import { kvm } from "../../tests/on_kvm.ts";
import { HvshHome } from "../../tests/run_hvsh.ts";
import { detached, records } from "../../tests/vm_home.ts";
import { ShellOnTerminal } from "../../tests/pty.ts";

const SCRIPTS = new URL("../../scripts", import.meta.url).pathname;
const PROMPT = "ready> ";
/** A shell behind a process that nothing could catch puts the terminal back a moment later. */
const MOST_LOOKS = 200;

/** sh on a terminal, where VMs of a test's own are at hand. */
class Terminal implements AsyncDisposable {
  readonly home: HvshHome;
  readonly shell: ShellOnTerminal;
  #modes = "";

  private constructor() {
    this.home = new HvshHome();
    this.shell = new ShellOnTerminal(this.home.folder, {
      XDG_RUNTIME_DIR: this.home.runtime,
      HVSH_DENO: Deno.execPath(),
      PATH: `${SCRIPTS}:${Deno.env.get("PATH")}`,
      PS1: PROMPT,
      ENV: "",
    }, ["sh", "-i"]);
  }

  static async open(): Promise<Terminal> {
    const terminal = new Terminal();
    terminal.home.write("echo.bin", ECHO);
    await terminal.shell.until(PROMPT);
    terminal.#modes = await terminal.#look();
    return terminal;
  }

  /** Types a line, ended by what ends it in every mode. */
  type(line: string): void {
    this.shell.type(`${line}\n`);
  }

  /** Starts hvsh, with its process id said before. */
  async start(words: string): Promise<number> {
    this.type(`sh -c 'echo pid=$$; exec hvsh ${words}'`);
    await this.shell.until("\npid=");
    const pid = Number(await this.shell.until("\r"));
    await this.shell.until("the console is yours");
    return pid;
  }

  /** Waits until the prompt is back, and the terminal is as it was. */
  async isRight(): Promise<void> {
    await this.shell.until(PROMPT);
    let now = "";
    for (let look = 0; look < MOST_LOOKS && now !== this.#modes; look++) now = await this.#look();
    assert.equal(now, this.#modes);
  }

  /** What its console types comes back, unseen by the terminal itself. */
  async echoes(text: string): Promise<void> {
    this.shell.type(text);
    await this.shell.until(text);
  }

  async #look(): Promise<string> {
    this.type("echo mo''des=`stty -g`"); // which shows otherwise where it is echoed
    await this.shell.until("modes=");
    const modes = await this.shell.until("\r");
    await this.shell.until(PROMPT);
    return modes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shell[Symbol.asyncDispose]();
    await this.home.line("hvsh kill '*'; hvsh wait '*'");
    await this.home[Symbol.asyncDispose]();
  }
}

function onTerminal(name: string, work: (terminal: Terminal) => Promise<void>): void {
  Deno.test({
    name,
    ignore: kvm.missing !== undefined,
    fn: async () => {
      await using terminal = await Terminal.open();
      await work(terminal);
    },
  });
}

onTerminal("a key that can be set leaves a console, and ^C is the guest's", async (terminal) => {
  const { home, shell } = terminal;
  await detached(home, "web", ECHO);
  await terminal.start("console web");
  await shell.until("; Ctrl-] leaves the VM running");
  await terminal.echoes("one");
  shell.type("\x03two");
  await shell.until("\x03two");
  shell.type("\x1d");
  await shell.until("hvsh: left web, which runs on");
  await terminal.isRight();
  await terminal.start('console web --escape "^A"');
  await shell.until("; Ctrl-A leaves");
  shell.type("\x1dthree");
  await shell.until("\x1dthree");
  shell.type("\x01");
  await shell.until("hvsh: left web");
  await terminal.isRight();
});

onTerminal("it is detached from elsewhere, and told of the VM's end", async (terminal) => {
  const { home, shell } = terminal;
  await detached(home, "web", ECHO);
  await terminal.start("console web");
  await terminal.echoes("one");
  records(await home.run(["detach", "web"]));
  await shell.until("hvsh: detached from web, which runs on");
  await terminal.isRight();
  await terminal.start("console web --backlog");
  await shell.until("one");
  await home.run(["console", "web"], "\n");
  await shell.until("hvsh: web has ended");
  await terminal.isRight();
  assert.equal((await home.run(["wait", "web"])).status, 7);
});

onTerminal(
  "signals, a crash and kill -9 leave the terminal right, and the VM",
  async (terminal) => {
    const { home } = terminal;
    await detached(home, "web", ECHO);
    // V8 has a handler for SIGSEGV; a crash ends with one of these.
    const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGILL", "SIGABRT", "SIGKILL"] as const;
    for (const signal of signals) {
      const pid = await terminal.start("console web");
      await terminal.echoes(signal);
      Deno.kill(pid, signal);
      await terminal.isRight();
    }
    assert.equal(records(await home.run(["list"]))[0]!.state, "running");
    await home.run(["kill", "web"]);
    await home.run(["wait", "web"]);
  },
);

/** In place of a VM's owner: lets a console attach, and answers what is typed with what is no JSON. */
function liar(path: string): Deno.UnixListener {
  const listener = Deno.listen({ transport: "unix", path });
  const attached = JSON.stringify({ jsonrpc: "2.0", method: "attached", params: {} });
  const serve = async (connection: Deno.UnixConn) => {
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    for await (const bytes of connection.readable.values({ preventCancel: true })) {
      const attach = decoder.decode(bytes).includes("console.attach");
      await connection.write(encoder.encode(attach ? `${attached}\n` : "no JSON\n"));
    }
  };
  (async () => {
    for await (const connection of listener) serve(connection).catch(() => {}); // it is gone
  })();
  return listener;
}

onTerminal("an error that nobody has expected leaves the terminal right", async (terminal) => {
  const { home, shell } = terminal;
  await detached(home, "web", ECHO);
  const control = `${home.runtime}/hvsh/web/control`;
  Deno.renameSync(control, `${control}.own`);
  {
    using _liar = liar(`${home.folder}/liar`);
    Deno.symlinkSync(`${home.folder}/liar`, control);
    await terminal.start("console web");
    shell.type("x");
    await shell.until("SyntaxError");
    await terminal.isRight();
  }
  Deno.renameSync(`${control}.own`, control); // over the link
  await home.run(["kill", "web"]);
  await home.run(["wait", "web"]);
});

onTerminal("a VM in the foreground leaves the terminal right however it ends", async (terminal) => {
  const { home, shell } = terminal;
  const ways: readonly [name: string, end: (pid: number) => void][] = [
    ["escape", () => shell.type("\x1d")],
    ["poweroff", () => shell.type("\r\n")],
    ["SIGTERM", (pid) => Deno.kill(pid, "SIGTERM")],
    ["SIGKILL", (pid) => Deno.kill(pid, "SIGKILL")],
  ];
  for (const [name, end] of ways) {
    const pid = await terminal.start("run -n web -m 1M --flat echo.bin");
    await terminal.echoes(name);
    end(pid);
    await terminal.isRight();
    assert.deepEqual(records(await home.run(["list"])), []);
  }
});
