/** Guests that count go on from a snapshot: nothing is lost, nothing is repeated. */
import assert from "node:assert/strict";
import { counted, RING_3_COUNT } from "../counting_lines.ts";
import { countsOn, end, ENOUGH, log, start, stopped } from "../counting_vm.ts";
import { diskWriter, sectorsWritten } from "../disk_writer.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

/** What stands between `snapshot` and `restore`. */
const STAGES = {
  "snapshot | restore": "",
  "snapshot | gzip | gzip -d | restore": "| gzip -1 | gzip -d ",
} as const;

for (const guest of ["lines", "two", "ticks"] as const) {
  onKvm(`a guest that counts, ${guest}, is carried on and loses nothing`, async () => {
    await using home = new HvshHome();
    await start(home, guest, "vm0");
    await countsOn(home, guest, "vm0");
    let text = "";
    let number = 0;
    for (const stage of [...Object.values(STAGES), ""]) {
      const [from, to] = [`vm${number}`, `vm${++number}`];
      const [handle] = records(
        await home.line(`hvsh snapshot ${from} --stop ${stage}| hvsh restore -d -n ${to}`),
      );
      assert.deepEqual([handle!.live, handle!.state], [to, "running"]);
      text += await stopped(home, from);
      await countsOn(home, guest, to, text);
    }
    text += await end(home, `vm${number}`);
    counted(guest, text);
  });
}

onKvm("a guest has its own name again at once, and what its other self had open", async () => {
  await using home = new HvshHome();
  home.write("disk", new Uint8Array(2 ** 20));
  const devices = [{ type: "serial" }, { type: "disk", path: `${home.folder}/disk` }];
  await start(home, "lines", "web", { devices });
  for (let round = 0; round < 3; round++) {
    const [handle] = records(await home.line("hvsh snapshot web --stop | hvsh restore -d"));
    assert.equal(handle!.live, "web");
  }
  await end(home, "web");
});

onKvm("a snapshot leaves its VM running, and both count on from there", async () => {
  await using home = new HvshHome();
  await start(home, "lines", "vm0");
  await countsOn(home, "lines", "vm0");
  records(await home.line("hvsh snapshot vm0 | hvsh restore -d -n vm1"));
  const first = await log(home, "vm1");
  await countsOn(home, "lines", "vm0", "");
  const both = [await end(home, "vm0"), await end(home, "vm1")] as const;
  const all = counted("lines", both[0]);
  const from = from0(both[0], both[1]);
  assert.ok(from > 0 && from <= both[0].length && all > ENOUGH);
  assert.ok(both[1].startsWith(first));
});

/** Where one log goes on from in another, or in what that would go on with. */
function from0(first: string, second: string): number {
  const lines = (first.length + second.length) / 9 + 2;
  let whole = "";
  for (let i = 0; i < lines; i++) whole += `${i.toString(16).padStart(8, "0")}\n`;
  return whole.indexOf(second);
}

/** What ring 3 of a guest has counted, in memory and in its register. */
async function ring3(home: HvshHome, name: string): Promise<{ memory: bigint; rax: bigint }> {
  const place = `0x${RING_3_COUNT.toString(16)}`;
  const dump = await home.run(["mem", "read", name, place, "8"]);
  assert.deepEqual([dump.status, dump.stderr], [0, ""]);
  const bytes = Uint8Array.from(dump.stdout, (letter) => letter.charCodeAt(0));
  const memory = new DataView(bytes.buffer).getBigUint64(0, true);
  const [regs] = records(await home.run(["regs", name]));
  return { memory, rax: BigInt((regs as { rax: string }).rax) };
}

onKvm(
  "a tight loop in ring 3 goes on with its register and its memory alike, in each of its copies",
  async () => {
    await using home = new HvshHome();
    await start(home, "ring3", "vm0");
    while ((await ring3(home, "vm0")).memory < 1000n);
    records(await home.run(["pause", "vm0"]));
    const { memory, rax } = await ring3(home, "vm0");
    assert.ok(rax === memory || rax === memory + 1n);
    const { status, stderr } = await home.run(["snapshot", "vm0", "-o", "vm.tar"]);
    assert.deepEqual([status, stderr], [0, ""]);
    const restored = ["vm1", "vm2"].map((name) =>
      home.run(["restore", "-d", "-n", name, "--paused", "vm.tar"])
    );
    for (const result of await Promise.all(restored)) {
      assert.equal(records(result)[0]!.state, "paused");
    }
    for (const name of ["vm1", "vm2"]) {
      assert.deepEqual(await ring3(home, name), { memory, rax }, name);
      records(await home.run(["resume", name]));
      while ((await ring3(home, name)).memory <= memory);
    }
    assert.deepEqual(await ring3(home, "vm0"), { memory, rax });
    for (const name of ["vm0", "vm1", "vm2"]) {
      assert.equal(records(await home.run(["kill", name]))[0]!.state, "ended");
      assert.equal((await home.run(["wait", name])).status, 137);
    }
  },
);

const SECTORS = 2000;
/** Writes a second, after as many at once: the guest is not through before it has been moved. */
const OPERATIONS = 250;

onKvm(
  "a guest in the middle of its disk's writes is carried on, and each sector is as it should be",
  async () => {
    await using home = new HvshHome();
    const path = home.write("disk", new Uint8Array(SECTORS * 512));
    const written = () => sectorsWritten(Deno.readFileSync(path));
    records(
      await home.run(
        ["run", "-d", "--paused"],
        JSON.stringify(
          diskWriter("vm0", { path, limit: { operations: OPERATIONS, burst: 1 } }, SECTORS),
        ),
      ),
    );
    records(await home.run(["resume", "vm0"]));
    let moved = 0;
    for (; moved < 4; moved++) {
      while (written() < (moved + 1) * 10);
      const [from, to] = [`vm${moved}`, `vm${moved + 1}`];
      const { status } = await home.line(`hvsh snapshot ${from} --stop | hvsh restore -d -n ${to}`);
      if (status !== 0) break; // it had come to its end
      assert.equal((await home.run(["wait", from])).status, 137);
    }
    assert.ok(moved > 0);
    assert.equal((await home.run(["wait", `vm${moved}`])).status, 42);
    assert.equal(written(), SECTORS);
  },
);
