/**
 * Many VMs at once, and owners that are killed at any moment. In the emulated host, where each process
 * takes a second, they are few. HVSH_TEST_KILLS=100 has more of the second.
 */
import assert from "node:assert/strict";
import { HELLO, listing, SPIN } from "../guest_code.ts";
import { filesBelow, killIfThere } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

const EMULATED = Deno.env.get("HVSH_EMULATED_HOST") === "1";
const VMS = EMULATED ? 6 : 100;
/** What one line of sh starts: each has the same deadline. */
const LINE = 20;
const KILLS = Number(Deno.env.get("HVSH_TEST_KILLS") ?? (EMULATED ? 5 : 30));
const SEED = 20251122;
/** An owner is well into its VM's life by then. */
const MOST_MILLISECONDS = 500;
/** How often each of two commands is timed. */
const ROUNDS = 10;

/** Waits for an interrupt that never comes. */
const IDLE = listing(`
  f4                    hlt
  eb fd                 jmp $ - 1
`);

/** Numbers from 0 to 1, the same ones each time (Park and Miller's generator). */
function* numbers(seed: number): Generator<number, never> {
  const MODULUS = 2 ** 31 - 1;
  for (let state = seed;;) {
    state = state * 48271 % MODULUS;
    yield state / MODULUS;
  }
}

/** What processes have open. */
function descriptors(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + [...Deno.readDirSync(`/proc/${pid}/fd`)].length, 0);
}

/** Waits until every owner has closed its end of what it was asked by. */
async function unasked(home: HvshHome): Promise<void> {
  const connected = new RegExp(` 03 +\\d+ ${home.runtime}/hvsh/\\S+/control$`, "m"); // SS_CONNECTED
  while (connected.test(Deno.readTextFileSync("/proc/net/unix"))) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** The shortest times of verbs that take turns: what else the host does falls on all of them. */
async function shortest(home: HvshHome, verbs: readonly string[]): Promise<number[]> {
  const times = verbs.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, verb] of verbs.entries()) {
      const begin = performance.now();
      await home.run([verb]);
      times[i] = Math.min(times[i]!, performance.now() - begin);
    }
  }
  return times;
}

onKvm(`${VMS} VMs that a loop starts are listed, paused, resumed and stopped`, async () => {
  await using home = new HvshHome();
  home.write("idle.bin", IDLE);
  const names = Array.from({ length: VMS }, (_, i) => `vm${String(i).padStart(3, "0")}`);
  const live = async (line: string) => records(await home.line(line)).map(({ live }) => live);
  const pids: number[] = [];
  for (let i = 0; i < VMS; i += LINE) {
    const some = names.slice(i, i + LINE);
    const handles = records(
      await home.line(`for n in ${some.join(" ")}; do
        hvsh run -d --paused --irqchip yes -m 1M -n $n --flat idle.bin || exit; done`),
    );
    assert.deepEqual(handles.map(({ live }) => live), some);
    pids.push(...handles.map(({ pid }) => Number(pid)));
  }
  await live("hvsh status '*'"); // from now on each has loaded what it is asked by
  await unasked(home);
  const before = descriptors(pids);
  for (
    const line of [
      "hvsh list",
      "hvsh list | hvsh resume",
      "hvsh pause '*'",
      "hvsh status '*'",
      "hvsh list | hvsh reset | hvsh resume",
    ]
  ) assert.deepEqual(await live(line), names, line);

  const [list, version] = await shortest(home, ["list", "version"]);
  assert.ok(list! < version! * 3, `list: ${list} ms, version: ${version} ms`);
  await unasked(home);
  assert.equal(descriptors(pids), before);

  assert.deepEqual(await live("hvsh stop 'vm*' --timeout 0.1"), names);
  assert.deepEqual(await live("hvsh list"), []);
  await home.empty();
  const { stdout } = await home.line("hvsh wait '*'");
  const ends = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(ends.map(({ live }) => live), names);
  assert.ok(ends.every(({ reason }) => reason === "killed"));
  assert.deepEqual(filesBelow(`${home.runtime}/hvsh`), []);
});

onKvm(`after ${KILLS} kill -9 of an owner at random instants its name is free`, async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  home.write("hello.bin", HELLO);
  const random = numbers(SEED);
  for (let round = 0; round < KILLS; round++) {
    const starting = home.start(["run", "-d", "-m", "1M", "-n", "web", "--flat", "spin.bin"]);
    await new Promise((resolve) => {
      setTimeout(resolve, random.next().value * MOST_MILLISECONDS);
    });
    // Whoever has claimed the name by now, or is about to: the starter, its owner, or both.
    for (const { pid, command } of home.processes()) {
      if (round % 2 === 0 && !command.includes("owner_main")) continue;
      killIfThere(pid);
    }
    await starting.result();
    await starting[Symbol.asyncDispose]();
    // One that was not born when others were killed is alive and well.
    await home.run(["kill", "*"]);
    await home.empty();
    assert.deepEqual(records(await home.run(["list"])), [], `round ${round}`);
    const next = await home.run(["run", "-n", "web", "--flat", "hello.bin"]);
    assert.deepEqual(next, { status: 0, stdout: "H\n", stderr: "" }, `round ${round}`);
  }
  await home.run(["wait", "web"]);
});
