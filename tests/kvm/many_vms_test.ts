/**
 * Many VMs at once, and owners that are killed at any moment. The counts are small for every day:
 * HVSH_TEST_VMS=100 and HVSH_TEST_KILLS=100 are what they are made for.
 */
import assert from "node:assert/strict";
import { HELLO, SPIN } from "../guest_code.ts";
import { filesBelow } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

const VMS = Number(Deno.env.get("HVSH_TEST_VMS") ?? 6);
const KILLS = Number(Deno.env.get("HVSH_TEST_KILLS") ?? 5);
const SEED = 20251122;
/** An owner is well into its VM's life by then. */
const MOST_MILLISECONDS = 500;

/** Numbers from 0 to 1, the same ones each time (Park and Miller's generator). */
function* numbers(seed: number): Generator<number, never> {
  const MODULUS = 2 ** 31 - 1;
  for (let state = seed;;) {
    state = state * 48271 % MODULUS;
    yield state / MODULUS;
  }
}

onKvm(`${VMS} VMs that a loop starts are listed, paused, resumed and stopped`, async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  const names = Array.from({ length: VMS }, (_, i) => `vm${String(i).padStart(3, "0")}`);
  const loop = `for n in ${names.join(" ")}; do
    hvsh run -d --paused -m 1M -n $n --flat spin.bin || exit; done`;
  const live = async (line: string) => records(await home.line(line)).map(({ live }) => live);
  assert.deepEqual(await live(loop), names);
  for (
    const line of [
      "hvsh list",
      "hvsh list | hvsh resume",
      "hvsh pause '*'",
      "hvsh status '*'",
      "hvsh list | hvsh reset | hvsh resume",
      "hvsh stop 'vm*'",
    ]
  ) assert.deepEqual(await live(line), names, line);
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
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
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
