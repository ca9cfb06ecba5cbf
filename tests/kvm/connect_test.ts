import assert from "node:assert/strict";
import { connect, create } from "../../mod.ts";
import { ECHO, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached } from "../vm_home.ts";

/** Does something where this process finds the VMs of a home. */
async function among(home: HvshHome, work: () => Promise<void>): Promise<void> {
  const before = Deno.env.get("XDG_RUNTIME_DIR");
  Deno.env.set("XDG_RUNTIME_DIR", home.runtime);
  try {
    await work();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
    else Deno.env.set("XDG_RUNTIME_DIR", before);
  }
}

onKvm("a program steers a VM of another process, and reads and types at its console", async () => {
  await using home = new HvshHome();
  const { pid } = await detached(home, "web", ECHO, "--rng", "");
  await among(home, async () => {
    using web = await connect("web");
    const { state, pid: owner, cpus, memory, resets, devices } = await web.status();
    assert.deepEqual([state, owner, cpus, memory, resets], ["running", pid, 1, 2 ** 20, 0]);
    assert.ok(devices.includes("serial0"));
    await web.console.send("one ");
    assert.equal(await web.console.until("one "), "one ");
    await web.pause();
    await assert.rejects(web.pause(), /Cannot pause a VM that is paused/);
    await web.reset();
    assert.equal((await web.status()).resets, 1);
    await web.resume();
    // Requests at the same time, over one connection.
    const all = await Promise.all([web.status(), web.stats(), web.act("serial0", "break")]);
    assert.ok("rng0" in all[1]);
    assert.equal(all[2], true);
    assert.equal(await web.act("serial0", "nonsense"), false);

    const kinds: string[] = [];
    for await (const { kind } of web.events({ follow: false })) kinds.push(kind);
    assert.deepEqual(kinds, ["running", "paused", "reset", "running"]);

    using again = await connect("web");
    const waiting = again.wait();
    await web.console.send("two\n");
    await web.console.until("two\n");
    assert.equal((await waiting).status, 7);
    await assert.rejects(web.console.until("three"), /ended before its console printed three/);
    await assert.rejects(connect("web"), /There is no live VM named "web"/);
  });
});

onKvm(
  "a program kills or stops a VM, whose name is free then, and follows its events",
  async () => {
    await using home = new HvshHome();
    await among(home, async () => {
      for (const how of ["kill", "stop"] as const) {
        await detached(home, "web", SPIN);
        using web = await connect("web");
        const events = web.events()[Symbol.asyncIterator]();
        assert.equal((await events.next()).value?.kind, "running"); // its owner tells by now
        assert.equal((await web[how]()).reason, "killed");
        assert.equal((await events.next()).value?.kind, "ended");
        assert.equal((await events.next()).done, true);
      }
    });
    await home.run(["wait", "web"]);
  },
);

onKvm("a VM of one's own process has the same methods", async () => {
  await using vm = await create({ memory: "1M" }).flat(SPIN).start();
  await vm.pause();
  await vm.reset();
  vm.resume();
  assert.equal((await vm.stop()).kind, "killed");
  const kinds: string[] = [];
  for await (const { kind } of vm.events()) kinds.push(kind);
  assert.deepEqual(kinds, ["running", "paused", "reset", "running", "ended"]);
});
