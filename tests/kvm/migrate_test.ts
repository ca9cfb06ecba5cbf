import assert from "node:assert/strict";
import {
  assertCounted,
  assertCounts,
  COUNTER,
  countingDocument,
  SECOND_COUNTER,
} from "../counting_guest.ts";
import { onKvm } from "../on_kvm.ts";
import { Script, SCRIPT_MEMORY, scriptDocument } from "../script_guest.ts";
import { barOf, placeBars, prove, startPci } from "../script_virtio.ts";
import { Structure } from "../../vmm/virtio/pci_capabilities.ts";
import { HvshHome, type HvshProcess, type HvshResult } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

/** How often sides are killed at random instants. */
const KILLS = Number(Deno.env.get("HVSH_TEST_KILLS") ?? 4);
const MIGRATED = { live: "a", state: "ended", reason: "migrated", status: 0 };
const DEADLINE_SECONDS = 180;
const LOOK_MILLISECONDS = 10;

/** What the console of a detached VM has said. */
function said(home: HvshHome, name: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(`${home.runtime}/hvsh/${name}/console.log`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw error;
  }
}

/** Waits until something is so. */
async function until(what: string, so: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + DEADLINE_SECONDS * 1000;
  while (!await so()) {
    if (performance.now() > end) assert.fail(`${what}: not after ${DEADLINE_SECONDS} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

/** Waits until a VM's console has said more. */
async function counts(home: HvshHome, name: string, more = 100): Promise<void> {
  const before = said(home, name).length;
  await until(`${name} counts`, () => said(home, name).length >= before + more);
}

/** Starts a VM that counts, and waits until it does. */
async function counting(
  home: HvshHome,
  cpus: 1 | 2 = 1,
  more: Record<string, unknown> = {},
): Promise<void> {
  const document = JSON.stringify(countingDocument(cpus, { name: "a", ...more }));
  records(await home.run(["run", "-d"], `${document}\n`));
  await counts(home, "a");
}

/** The words that bring VM a over to b. */
function moving(...command: string[]): string[] {
  return ["migrate", "a", "--", ...command];
}
const RESTORE = ["hvsh", "restore", "--live", "-n", "b"];

/** The last line of stderr tells of the migration. */
function assertMoved({ status, stdout, stderr }: HvshResult): void {
  assert.match(
    stderr,
    /^hvsh migrate: a: [\d.]+ [KM]iB in [\d.]+ s and \d+ rounds, downtime \d+ ms$/m,
  );
  assert.deepEqual([JSON.parse(stdout), status], [MIGRATED, 0]);
}

async function live(home: HvshHome): Promise<unknown[]> {
  return records(await home.run(["list"])).map(({ live }) => live);
}

/** Looks that VM b has gone on where a had stopped, and ends it. */
async function assertGoesOn(home: HvshHome, cpus: 1 | 2 = 1): Promise<void> {
  assert.deepEqual(await live(home), ["b"]);
  await counts(home, "b");
  const second = await word(home, "b", SECOND_COUNTER);
  await home.run(["pause", "b"]);
  const path = `${home.folder}/memory`;
  await home.line(`hvsh mem read b 0 1M > ${path}`);
  const all = new Uint8Array([...said(home, "a"), ...said(home, "b")]);
  assertCounts(all);
  const memory = Deno.readFileSync(path);
  assertCounted(memory, all.length);
  if (cpus === 2) {
    assert.ok(new DataView(memory.buffer).getUint32(SECOND_COUNTER, true) > second);
  }
  assert.equal((await home.run(["kill", "b"])).status, 0);
  const waited = await home.run(["wait", "a", "b"]);
  assert.deepEqual(JSON.parse(waited.stdout.split("\n")[0]!), MIGRATED);
}

async function word(home: HvshHome, name: string, address: number): Promise<number> {
  const path = `${home.folder}/word`;
  await home.line(`hvsh mem read ${name} ${address} 4 > ${path}`);
  return new DataView(Deno.readFileSync(path).buffer).getUint32(0, true);
}

/** Looks that VM a goes on although it was to be moved, and is alone. */
async function assertStays(home: HvshHome): Promise<void> {
  await until("one owner", () => home.processes().length === 1);
  assert.deepEqual(await live(home), ["a"]);
  await counts(home, "a");
  assertCounts(said(home, "a"));
}

async function end(home: HvshHome, name: string): Promise<void> {
  await home.run(["kill", name]);
  await home.run(["wait", name]);
}

for (const cpus of [1, 2] as const) {
  onKvm(`a guest of ${cpus} that counts is moved with no count lost or repeated`, async () => {
    await using home = new HvshHome();
    await counting(home, cpus);
    assertMoved(await home.run(moving(...RESTORE)));
    await assertGoesOn(home, cpus);
  });
}

onKvm("a VM is moved through filters, at a limited rate, with a line for each round", async () => {
  await using home = new HvshHome();
  await counting(home);
  const line =
    "hvsh migrate a -v --rate 300K --downtime 0 -- sh -c 'cat | cat | hvsh restore --live -n b | cat'";
  const moved = await home.line(line);
  assertMoved(moved);
  assert.match(moved.stderr, /^hvsh migrate: a: round 1: [\d.]+ [KM]iB in \d+ ms$/m);
  await assertGoesOn(home);
});

onKvm(
  "a disk is its VM's alone before, while and after that is moved, and after it was not",
  async () => {
    await using home = new HvshHome();
    const path = home.write("disk.img", new Uint8Array(4096));
    const devices = [{ type: "serial" }, { type: "disk", path }, { type: "rng" }];
    await counting(home, 1, { devices });
    const refused = async () => {
      const { status, stderr } = await home.run(["run", "--disk", path, "--flat", path]);
      assert.equal(status, 125);
      assert.match(stderr, /disk.img is in use by another program/);
    };
    await refused();
    // The other side runs, but that it says so is lost on the way.
    const lost = "hvsh restore --live -n b | " +
      "while read -r a; do case $a in *running*) kill -9 0;; *) echo $a;; esac; done";
    await using moved = home.start(moving("setsid", "sh", "-c", lost));
    await counts(home, "b");
    await refused();
    await end(home, "b");
    assert.equal((await moved.result()).status, 125);
    assert.deepEqual(await live(home), ["a"]);
    await refused();
    await home.run(["resume", "a"]); // it is paused if that took long
    assertMoved(await home.run(moving(...RESTORE)));
    await counts(home, "b");
    await refused();
    await end(home, "b");
    await home.run(["wait", "a"]);
  },
);

onKvm("a guest in the middle of disk requests goes on with them, there and back", async () => {
  await using home = new HvshHome();
  const path = home.write("disk.img", new Uint8Array(65536).fill(7));
  const script = new Script();
  placeBars(script, 1);
  prove(script, { slot: 1 }, "disk", 1);
  const desc = SCRIPT_MEMORY.base + 0x1000;
  const used = desc + 0x200 + 2;
  script.repeat(0xffff_ffff, () => {
    for (let idx = 2; idx <= 400; idx++) {
      script.write(2, desc + 0x100 + 2, idx);
      script.write(2, barOf(1) + Structure.NOTIFY, 0);
      script.until(used, idx);
    }
    startPci(script, 1, 0, 1);
    script.write(2, desc + 0x100 + 2, 1);
    script.write(2, barOf(1) + Structure.NOTIFY, 0);
    script.until(used, 1);
  });
  const { name: _, ...document } = scriptDocument(script, [{ type: "disk", path }]);
  const line = JSON.stringify({ ...document, name: "a" });
  records(await home.run(["run", "-d"], `${line}\n`));
  const goesOn = async (name: string) => {
    for (let changes = 0; changes < 3; changes++) {
      const before = await word(home, name, used);
      await until(`${name} reads`, async () => await word(home, name, used) !== before);
    }
  };
  for (const [from, to] of ["ab", "ba", "ab"]) {
    await goesOn(from!);
    const command = ["hvsh", "restore", "--live", "-n", to!];
    const { status, stderr } = await home.run(["migrate", from!, "--", ...command]);
    assert.equal(status, 0, stderr);
  }
  await goesOn("b");
  await end(home, "b");
  await home.run(["wait", "a"]);
});

onKvm("a paused VM is paused where it arrives", async () => {
  await using home = new HvshHome();
  await counting(home);
  await home.run(["pause", "a"]);
  assertMoved(await home.line("hvsh list | hvsh migrate -- hvsh restore --live -n b"));
  const [handle] = records(await home.run(["list"]));
  assert.deepEqual([handle!.live, handle!.state], ["b", "paused"]);
  await home.run(["resume", "b"]);
  await assertGoesOn(home);
});

onKvm("who waits for a VM that is moved is told so", async () => {
  await using home = new HvshHome();
  await counting(home);
  await using waiter = home.start(["wait", "a"]);
  assertMoved(await home.run(moving(...RESTORE)));
  const { stdout, status } = await waiter.result();
  assert.deepEqual([JSON.parse(stdout), status], [MIGRATED, 0]);
  await end(home, "b");
});

onKvm("a command that does not take a VM leaves it where it is", async () => {
  await using home = new HvshHome();
  await counting(home);
  const cases: [string[], RegExp][] = [
    [["no-such-command"], /no-such-command: there is no such command/],
    [["false"], /false ended with status 1 before the VM ran there/],
    [["true"], /true ended with status 0/],
    [["sh", "-c", "echo it is late >&2; exit 3"], /it is late\n.*sh ended with status 3/],
    [["sh", "-c", "echo nonsense; cat > /dev/null"], /sh said "nonsense"/],
    [["sh", "-c", "echo '{\"made\":1}'; cat > /dev/null"], /sh said "\{/],
    [["sh", "-c", "head -c 3000 /dev/zero; cat > /dev/null"], /sh said/],
    [["sh", "-c", "kill -9 $$"], /signal SIGKILL/],
    [["sh", "-c", "head -c 2000 | hvsh restore --live -n b"], /cut off/],
    [["hvsh", "restore", "--live"], /There is a live VM named "a" here already/],
    [["hvsh", "restore", "--live", "-n", "no name"], /name: is not a name/],
  ];
  for (const [command, message] of cases) {
    const { status, stdout, stderr } = await home.run(moving(...command));
    assert.deepEqual([status, stdout], [125, ""], stderr);
    assert.match(stderr, message);
  }
  await assertStays(home);
  await end(home, "a");
});

onKvm("a VM without a way, or a stream without a VM, is refused", async () => {
  await using home = new HvshHome();
  const none = await home.run(["migrate", "a"]);
  assert.deepEqual([none.status, none.stdout], [2, ""]);
  const gone = await home.run(moving("cat"));
  assert.equal(gone.status, 125);
  assert.match(gone.stderr, /There is no live VM named "a"/);
  const file = await home.run(["restore", "--live", home.write("file", "")]);
  assert.equal(file.status, 2);
  const nothing = await home.run(["restore", "--live"], "");
  assert.equal(nothing.status, 125);
  assert.match(nothing.stderr, /cut off before its first record/);
});

onKvm(
  "devices stay what they are while a VM is moved, and nobody else moves or copies it",
  async () => {
    await using home = new HvshHome();
    await counting(home);
    // It never says that it is there, so the migration waits.
    await using first = home.start(moving("sh", "-c", "cat > /dev/null"));
    await until("it begins", async () => {
      const { stderr } = await home.run(["attach", "a", "rng"]);
      return stderr.includes("while the VM is being migrated");
    });
    const second = await home.run(moving(...RESTORE));
    assert.equal(second.status, 125);
    assert.match(second.stderr, /is being migrated already/);
    const copy = await home.run(["fork", "a", "-n", "c"]);
    assert.equal(copy.status, 125);
    assert.match(copy.stderr, /Cannot make copies while the VM is being migrated/);
    first.kill("SIGKILL");
    await first.result();
    await assertStays(home);
    assertMoved(await home.run(moving(...RESTORE)));
    await assertGoesOn(home);
  },
);

onKvm("a VM that is killed while it is moved is gone, and so is what was to take it", async () => {
  await using home = new HvshHome();
  await counting(home);
  await using moved = home.start(moving("sh", "-c", "cat > /dev/null"));
  await until("it begins", async () => {
    return (await home.run(["attach", "a", "rng"])).stderr.includes("being migrated");
  });
  await end(home, "a");
  assert.equal((await moved.result()).status, 125);
});

/** A relay that ends when it is to tell that the VM runs there. */
const SILENT = "hvsh restore --live -n b | sed -u '/running/Q'";

onKvm(
  "when the relay ends first, a VM goes on if the other owner is seen to have ended",
  async () => {
    await using home = new HvshHome();
    await counting(home);
    await using migrating = home.start(moving("sh", "-c", SILENT));
    await until("b runs", () => said(home, "b").length > 0);
    await end(home, "b");
    const { status, stdout, stderr } = await migrating.result();
    assert.deepEqual([status, stdout], [125, ""], stderr);
    assert.match(stderr, /The other side ended before its VM ran; this one goes on/);
    await assertStays(home);
    await end(home, "a");
  },
);

onKvm("when the relay of another host ends first, never two run: this one is paused", async () => {
  await using home = new HvshHome();
  await counting(home);
  // What is elsewhere has no copies of this host's pipes, and another boot ID.
  const elsewhere =
    'for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3)) || eval "exec $fd>&-"; done; ' +
    SILENT.replace("'/", `'s/"boot":"[^"]*"/"boot":"another"/; /`);
  const { status, stdout, stderr } = await home.run(moving("bash", "-c", elsewhere));
  assert.deepEqual([status, stdout], [125, ""], stderr);
  assert.match(stderr, /The other side may run the VM, and has not said so; it is paused here/);
  const states = records(await home.run(["list"])).map(({ live, state }) => [live, state]);
  assert.deepEqual(states, [["a", "paused"], ["b", "running"]]);
  await counts(home, "b");
  await end(home, "b");
  await home.run(["resume", "a"]);
  await assertStays(home);
  await end(home, "a");
});

/** Who is killed, and how it is found among the processes of a test. */
const SIDES: Readonly<Record<string, (command: string) => boolean>> = {
  "the client": (command) => command.includes(" migrate "),
  "the command": (command) => command.startsWith("sh -c"),
  "a filter": (command) => command.startsWith("cat"),
  "restore": (command) => command.includes(" restore --live") && command.includes("/main."),
  "the other owner": (command) => command.includes('"live":true'),
};

for (const [side, is] of Object.entries(SIDES)) {
  onKvm(`after kill -9 of ${side} at some instant exactly one VM goes on`, async () => {
    const outcomes = { stays: 0, moves: 0 };
    for (let i = 0; i < KILLS; i++) {
      await using home = new HvshHome();
      await counting(home);
      await using migrating = home.start(
        moving("sh", "-c", "cat | hvsh restore --live -n b; exit $?"),
      );
      const instant = 1200 * (i + Math.random()) / KILLS;
      await new Promise((resolve) => setTimeout(resolve, instant));
      const hit = home.processes().filter(({ command }) => is(command)).map(({ pid }) => {
        try {
          Deno.kill(pid, "SIGKILL");
          return true;
        } catch {
          return false; // it has just ended
        }
      });
      await settled(home, migrating);
      const names = await live(home);
      const wait = names.includes("a") ? undefined : await exitOf(home, "a");
      const where = `${side}, ${instant.toFixed(0)} ms, ${hit}: ${names} ${wait}`;
      if (side === "the other owner" && names.length === 0) {
        // It was killed as the VM's owner that it had become.
        assert.equal(wait, "migrated", where);
        outcomes.moves++;
        continue;
      }
      assert.equal(names.length, 1, where);
      const [name] = names as [string];
      await counts(home, name);
      if (name === "b") {
        assert.equal(wait, "migrated", where);
        outcomes.moves++;
      } else {
        assertCounts(said(home, "a"));
        assert.deepEqual(said(home, "b").length, 0, where);
        outcomes.stays++;
      }
      assert.ok(await word(home, name, COUNTER) > 0);
      await end(home, name);
    }
    if (KILLS > 4) console.log(`${side}: ${JSON.stringify(outcomes)}`);
  });
}

/** Waits until nobody works on the migration any more: there are owners only. */
async function settled(home: HvshHome, migrating: HvshProcess): Promise<void> {
  await migrating.result();
  await until("owners are left only", () => {
    const left = home.processes();
    return left.length <= 1 && left.every(({ command }) => command.includes("owner_main"));
  });
}

async function exitOf(home: HvshHome, name: string): Promise<unknown> {
  const { stdout } = await home.run(["wait", name]);
  return stdout === "" ? "nothing" : JSON.parse(stdout).reason;
}
