import assert from "node:assert/strict";
import { ShellOnTerminal } from "../pty.ts";
import { SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

const SCRIPTS = new URL("../../scripts", import.meta.url).pathname;

/** A line of sh on a terminal; the processes are the home's. */
function onTerminal(home: HvshHome, line: string, environment: Record<string, string> = {}) {
  const own = {
    HVSH_DENO: Deno.execPath(),
    PATH: `${SCRIPTS}:${Deno.env.get("PATH")}`,
    TERM: "xterm",
    XDG_RUNTIME_DIR: home.runtime,
  };
  return new ShellOnTerminal(home.folder, { ...own, ...environment }, ["sh", "-c", line]);
}

/** A VM that is ended at the end, whatever a test has found. */
async function spinning(home: HvshHome, ...flags: string[]): Promise<AsyncDisposable> {
  await detached(home, "web", SPIN, ...flags);
  return { [Symbol.asyncDispose]: () => end(home) };
}

async function end(home: HvshHome): Promise<void> {
  await home.run(["kill", "web"]);
  await home.run(["wait", "web"]);
}

onKvm(
  "how far long work has come is drawn on the terminal, and cleared away at its end",
  async () => {
    await using home = new HvshHome();
    await using _web = await spinning(home, "-m", "4M");
    // The reader stands until it is let go on, and so does who writes to it.
    const reader = "{ head -c 1500000 >/dev/null; read -r _ <go; cat >/dev/null; }";
    const line = `mkfifo go; hvsh mem read web 0 4M | ${reader}; echo "ended $?"`;
    await using terminal = onTerminal(home, line);
    await terminal.see(/^web: 1 MiB of 4 MiB {2}\[=+> +\] {2}25 % /m);
    await Deno.writeTextFile(`${home.folder}/go`, "\n");
    await terminal.see(/^ended 0$/m);
    assert.doesNotMatch(terminal.screen, /web/);
  },
);

onKvm("who waits at a terminal sees so; with -q, or a dumb one, nothing", async () => {
  await using home = new HvshHome();
  await using _web = await spinning(home);
  await using quiet = onTerminal(home, "hvsh wait -q web; echo ended");
  await using dumb = onTerminal(home, "hvsh wait web; echo ended", { TERM: "dumb" });
  await using terminal = onTerminal(home, "hvsh wait web; echo ended");
  await terminal.see(/^web: waiting for its end {2}0:0[1-9]$/m);
  await home.run(["kill", "web"]);
  for (const { see } of [quiet, dumb, terminal].map((one) => ({ see: one.see.bind(one) }))) {
    await see(/^ended$/m);
  }
  for (const { written } of [quiet, dumb]) assert.doesNotMatch(written, /waiting/);
  assert.doesNotMatch(terminal.screen, /waiting/);
});

onKvm("watch draws a table in place as soon as a VM changes, and marks what did", async () => {
  await using home = new HvshHome();
  await using _web = await spinning(home);
  // An hour between: what is seen to change has been told.
  await using terminal = onTerminal(home, 'echo before; hvsh watch -n 1h list; echo "ended $?"');
  await terminal.see(
    /^hvsh list - .*, every 3600 s, q leaves\n\nLIVE +PID +STATE\nweb +\d+ +running$/,
  );
  await home.run(["pause", "web"]);
  await terminal.see(/^web +\d+ +paused$/m);
  assert.ok(terminal.written.includes("\x1b[7mpaused\x1b[27m"));
  terminal.resize(20, 5);
  await terminal.see(/^hvsh list - ..:..:.…/m);
  terminal.resize(80, 24);
  await end(home);
  await terminal.see(/q leaves\n\nLIVE +PID +STATE$/);
  terminal.type("q");
  await terminal.see(/^before\nended 0$/);
});

onKvm(
  "watch off a terminal prints the records again and again, to the end of its VMs",
  async () => {
    await using home = new HvshHome();
    await using _web = await spinning(home);
    assert.deepEqual(
      records(await home.run(["watch", "-n", "0.01", "--count", "3", "list"])).map(({ live }) =>
        live
      ),
      ["web", "web", "web"],
    );
    const handle = '{"live":"web"}\n';
    const twice = await home.run(["watch", "-n", "0.01", "--count", "2", "status"], handle);
    assert.deepEqual(records(twice).map(({ state }) => state), ["running", "running"]);
    await using watch = home.start(["watch", "-n", "0.01", "-e", "status", "web"]);
    await watch.until("running");
    await end(home);
    assert.equal((await watch.result()).status, 0);
    for (const words of [["events", "web"], ["create"], ["lisst"], ["list", "--foo"], []]) {
      const { status, stderr } = await home.run(["watch", ...words]);
      assert.deepEqual([status, /\n {2}.*try: |\n {2}try: /.test(stderr)], [2, words.length > 0]);
    }
  },
);

onKvm("top follows keys and the terminal's size", async () => {
  await using home = new HvshHome();
  await using _web = await spinning(home);
  await using terminal = onTerminal(home, 'hvsh top -i 0.05; echo "ended $?"');
  await terminal.see(/^VM +%CPU\* +STATE .*\nweb +[\d.]+ +running /m);
  terminal.type("1");
  await terminal.see(/^VM +VCPU +%CPU\* .*\nweb +0 +[\d.]+ /m);
  terminal.type("e");
  await terminal.see(/^VM .* EXITS\/S\*$/m);
  terminal.type("\x1b[Ah"); // an arrow is no letter
  await terminal.see(/^Lines: +v VMs/m);
  terminal.type("v");
  terminal.resize(30, 4);
  await terminal.see(/^VM +%CPU\* +STATE +VCPUS\b(?! +EXITS).*\nweb +[\d.]+ +running +1\b/m);
  terminal.type("\x03");
  await terminal.see(/^ended 0$/m);
});
