import assert from "node:assert/strict";
import { ECHO, exitWith, FLOOD, HELLO, SPIN } from "../guest_code.ts";
import { filesBelow } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome, type HvshResult } from "../run_hvsh.ts";

/** The objects that a verb printed, after looking that it did well. */
function records({ status, stdout, stderr }: HvshResult): Record<string, unknown>[] {
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Starts a detached VM. */
async function detached(home: HvshHome, name: string, code: Uint8Array, ...flags: string[]) {
  const path = home.write(`${name}.bin`, code);
  const [handle] = records(await home.run(["run", "-d", "-n", name, ...flags, "--flat", path]));
  return handle as { live: string; pid: number; state: string };
}

onKvm("a detached VM is listed, paused, resumed, killed, and waited for once", async () => {
  await using home = new HvshHome();
  const handle = await detached(home, "spin", SPIN);
  assert.deepEqual([handle.live, handle.state], ["spin", "running"]);
  assert.deepEqual(records(await home.run(["list"])), [handle]);

  const paused = { ...handle, state: "paused" };
  assert.deepEqual(records(await home.run(["pause", "spin"])), [paused]);
  assert.deepEqual(records(await home.line("hvsh list | hvsh resume")), [handle]);
  const again = await home.run(["resume", "spin"]);
  assert.equal(again.status, 125);
  assert.match(again.stderr, /Cannot resume a VM that is running/);

  const killed = { live: "spin", state: "ended" };
  assert.deepEqual(records(await home.run(["kill", "spin"])), [killed]);
  const ended = { live: "spin", state: "ended", reason: "killed", status: 137 };
  const waited = await home.run(["wait", "spin"]);
  assert.deepEqual([JSON.parse(waited.stdout), waited.status], [ended, 137]);
  const gone = await home.run(["wait", "spin"]);
  assert.deepEqual([gone.status, gone.stdout], [125, ""]);
  assert.match(gone.stderr, /There is no live VM named "spin"/);
  assert.deepEqual(records(await home.run(["list"])), []);
});

onKvm("wait tells how a VM ends, to those who wait and to one who asks later", async () => {
  await using home = new HvshHome();
  await detached(home, "later", exitWith(42), "--paused");
  await using waiter = home.start(["wait", "later"]);
  assert.deepEqual(records(await home.run(["resume", "later"])).length, 1);
  const early = await waiter.result();
  const record = { live: "later", state: "ended", reason: "exit", status: 42 };
  assert.deepEqual([JSON.parse(early.stdout), early.status], [record, 42]);

  await detached(home, "sooner", exitWith(3));
  const late = await home.run(["wait", "sooner"]);
  assert.deepEqual([JSON.parse(late.stdout).status, late.status], [3, 3]);
});

onKvm("a name belongs to one live VM, attached or detached", async () => {
  await using home = new HvshHome();
  const path = home.write("echo.bin", ECHO);
  await using attached = home.start(["run", "-n", "twin", "--flat", path], "open");
  await attached.send("up");
  await attached.until("up");
  const [handle] = records(await home.run(["list"]));
  assert.deepEqual([handle!.live, handle!.pid], ["twin", attached.pid]);
  for (const flags of [[], ["-d"]]) {
    const second = await home.run(["run", ...flags, "-n", "twin", "--flat", path]);
    assert.deepEqual([second.status, second.stdout], [125, ""]);
    assert.match(second.stderr, /There is a live VM named "twin" already/);
  }
  await home.run(["kill", "twin"]);
  assert.equal((await attached.result()).status, 137);
});

onKvm("after kill -9 of its owner a name is free again, and nothing lives on", async () => {
  await using home = new HvshHome();
  for (let round = 0; round < 2; round++) {
    const { pid } = await detached(home, "web", SPIN);
    Deno.kill(pid, "SIGKILL");
    await home.empty();
    assert.deepEqual(records(await home.run(["list"])), []);
    assert.equal((await home.run(["kill", "web"])).status, 125);
  }
  const path = home.write("hello.bin", HELLO);
  assert.equal((await home.run(["run", "-n", "web", "--flat", path])).stdout, "H\n");
});

onKvm("SIGTERM, SIGINT and SIGHUP end an attached VM with 128 + n and leave nothing", async () => {
  await using home = new HvshHome();
  const path = home.write("echo.bin", ECHO);
  for (const [signal, status] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129]] as const) {
    await using process = home.start(["run", "-n", "web", "--flat", path], "open");
    await process.send("up");
    await process.until("up");
    process.kill(signal);
    assert.deepEqual(await process.result(), { status, stdout: "up", stderr: "" });
    await home.empty();
    assert.deepEqual(filesBelow(`${home.runtime}/hvsh`), []);
  }
});

onKvm(
  "a VM whose reader has stopped reading is paused, resumed and ended all the same",
  async () => {
    await using home = new HvshHome();
    const path = home.write("flood.bin", FLOOD);
    for (const [how, status] of [["kill", 137], ["SIGTERM", 143], ["timeout", 124]] as const) {
      const flags = how === "timeout" ? ["--timeout", "2"] : [];
      await using process = home.start(["run", "-n", "flood", ...flags, "--flat", path]);
      await process.until("\u0000\u0001");
      if (how === "kill") {
        await home.run(["pause", "flood"]);
        await home.run(["resume", "flood"]);
        assert.equal((await home.run(["kill", "flood"])).status, 0);
      } else if (how === "SIGTERM") process.kill("SIGTERM");
      await home.empty(); // it has ended although nobody has read what it wrote
      const result = await process.result();
      assert.equal(result.status, status);
      const wrong = [...result.stdout].findIndex((c, i) => c.charCodeAt(0) !== i % 256);
      assert.equal(wrong, -1);
    }
  },
);

onKvm("kill -9 of a stage leaves no process, and the others end", async () => {
  await using home = new HvshHome();
  const path = home.write("echo.bin", ECHO);
  // The middle stage is killed while it waits for a document that never comes.
  const line = "sh -c 'echo $$ >first; exec sleep 1000' | " +
    "sh -c 'echo $$ >middle; exec hvsh cmdline quiet' | (hvsh run; echo $?)";
  await using process = home.startLine(line);
  const pidIn = async (name: string) => {
    for (;;) {
      try {
        const text = Deno.readTextFileSync(`${home.folder}/${name}`);
        if (text.endsWith("\n")) return Number(text);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  Deno.kill(await pidIn("middle"), "SIGKILL");
  await process.until("125\n"); // `run` is told that no VM came
  Deno.kill(await pidIn("first"), "SIGKILL");
  assert.match((await process.result()).stderr, /No VM on stdin; did the stage before fail\?/);

  // A VM in the foreground: what was its stdin does not keep anything alive.
  await using alone = home.start(["run", "-n", "alone", "--flat", path], "open");
  await alone.send("up");
  await alone.until("up");
  alone.kill("SIGKILL");
  assert.equal((await alone.result()).status, 137);
  await home.empty();
  const [handle] = records(await home.run(["run", "-d", "-n", "alone", "--flat", path]));
  assert.equal(handle!.live, "alone");
  await home.run(["kill", "alone"]);
  await home.run(["wait", "alone"]);
});

onKvm("what a detached VM cannot do is told where it was started", async () => {
  await using home = new HvshHome();
  const document = { vm: 1, name: "bad", memory: [{ type: "ram", size: "1M" }], boot: {} };
  const { status, stdout, stderr } = await home.run(["run", "-d"], JSON.stringify(document));
  assert.deepEqual([status, stdout], [125, ""]);
  assert.match(stderr, /^hvsh run: VM document, boot: there is nothing to boot\n/);
});

onKvm("kills in a row are each answered", async () => {
  await using home = new HvshHome();
  for (let round = 0; round < 4; round++) {
    await detached(home, "short", SPIN);
    const { status, stderr } = await home.run(["kill", "short"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.equal((await home.run(["wait", "short"])).status, 137);
    await home.empty();
  }
});
