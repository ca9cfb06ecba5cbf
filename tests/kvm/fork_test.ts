/** Copies of live VMs: in this process by the API, and by `hvsh fork` in processes of their own. */
import assert from "node:assert/strict";
import { create, type Vm, VmError } from "../../mod.ts";
import { listing } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

const COUNTER = 0x500;

/** Counts in a dword and a register at once, and ends with status 1 where they differ. Real mode. */
const COUNT = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  66 31 c9              xor ecx, ecx
  66 41                 inc ecx              ; again:
  66 ff 06 00 05        inc dword [0x500]
  66 39 0e 00 05        cmp [0x500], ecx
  74 f2                 je again
  b0 01                 mov al, 1
  e6 f4                 out 0xf4, al
`);

/** Ends with the status that is at 0x600, once it is not 0. Real mode. */
const WAIT_FOR_STATUS = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  a0 00 06              mov al, [0x600]      ; again:
  84 c0                 test al, al
  74 f9                 jz again
  e6 f4                 out 0xf4, al
`);

async function counted(vm: Vm): Promise<number> {
  const bytes = await vm.memory.read(COUNTER, 4);
  return new DataView(bytes.buffer).getUint32(0, true);
}

/** A VM goes on counting, and does so right. */
async function goesOn(vm: Vm): Promise<void> {
  const before = await counted(vm);
  while (await counted(vm) === before);
  assert.equal(vm.state, "running");
}

onKvm(
  "a copy goes on from where the original is, and neither sees the other's writes",
  async () => {
    for (const cpus of [1, 2]) {
      await using vm = await create({ memory: "64M", cpus }).flat(COUNT).start();
      await goesOn(vm);
      await vm.pause();
      const at = await counted(vm);
      await using copy = await vm.fork({ paused: true });
      await using second = await copy.fork({ paused: true });
      assert.deepEqual([await counted(copy), await counted(second)], [at, at]);
      copy.resume();
      await goesOn(copy);
      assert.deepEqual([await counted(vm), await counted(second)], [at, at]);
      vm.resume();
      await goesOn(vm);
      second.resume();
      await goesOn(second);
      await goesOn(copy);
    }
  },
);

onKvm("one that runs is forked too, again and again, each copy from its own moment", async () => {
  await using vm = await create({ memory: "64M" }).flat(COUNT).start();
  const moments: number[] = [];
  for (let i = 0; i < 3; i++) {
    await goesOn(vm);
    await using copy = await vm.fork({ paused: true });
    moments.push(await counted(copy));
    assert.ok(await counted(vm) >= moments.at(-1)!);
    copy.resume();
    await goesOn(copy);
  }
  assert.deepEqual(moments, moments.toSorted((a, b) => a - b));
  assert.equal(new Set(moments).size, moments.length);
});

onKvm(
  "what is written to the original from outside is in later copies, and only there",
  async () => {
    await using vm = await create({ memory: "64M" }).flat(COUNT).start({ paused: true });
    await using before = await vm.fork({ paused: true });
    await vm.memory.write(0x2000, Uint8Array.of(7));
    await using after = await vm.fork({ paused: true });
    assert.deepEqual(await before.memory.read(0x2000, 1), Uint8Array.of(0));
    assert.deepEqual(await after.memory.read(0x2000, 1), Uint8Array.of(7));
  },
);

onKvm("a reset gives a copy, and an original with copies, zeros again", async () => {
  await using vm = await create({ memory: "64M" }).flat(COUNT).start();
  await goesOn(vm);
  await vm.pause();
  await using copy = await vm.fork({ paused: true });
  const at = await counted(copy);
  await vm.reset();
  assert.equal(await counted(vm), 0);
  assert.equal(await counted(copy), at);
  await copy.reset();
  assert.equal(await counted(copy), 0);
  copy.resume();
  await goesOn(copy);
});

onKvm("a pool has copies ready, and gives back those that nobody took", async () => {
  await using vm = await create({ memory: "64M" }).flat(COUNT).start();
  await vm.pause();
  const at = await counted(vm);
  await using pool = await vm.forks();
  await pool.prepare(3);
  assert.equal(pool.ready, 3);
  for (const ready of [2, 1]) {
    await using copy = await pool.fork({ paused: true });
    assert.equal(pool.ready, ready);
    assert.equal(await counted(copy), at);
  }
  await using named = await pool.fork({ name: "own", paused: true });
  assert.deepEqual([pool.ready, named.document.name], [1, "own"]);
});

onKvm("copies of a disk's VM have overlays, and hold the original while they live", async () => {
  const image = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(image, new Uint8Array(2 ** 20));
    const described = create({ memory: "64M" }).flat(COUNT).device("disk", { path: image });
    await using vm = await described.start();
    await assert.rejects(vm.fork(), /only while it is paused/);
    await vm.pause();
    {
      await using copy = await vm.fork();
      await goesOn(copy);
      const disk = copy.document.devices?.find(({ type }) => type === "disk");
      assert.equal(disk?.overlay, "temporary");
      assert.throws(() => vm.resume(), VmError);
      assert.equal(vm.state, "paused");
      await assert.rejects(copy.fork({ paused: true }), VmError);
      await assert.rejects(Array.fromAsync(copy.snapshot()), /temporary overlay/);
    }
    vm.resume();
    await goesOn(vm);
  } finally {
    Deno.removeSync(image);
  }
});

onKvm(
  "hvsh fork makes VMs of their own, with names, and leaves the original as it is",
  async () => {
    await using home = new HvshHome();
    await detached(home, "gold", COUNT);
    await home.run(["pause", "gold"]);
    const handles = records(await home.run(["fork", "gold", "-n", "try", "--count", "3"]));
    assert.deepEqual(
      handles.map(({ live, state }) => [live, state]),
      [["try-1", "paused"], ["try-2", "paused"], ["try-3", "paused"]],
    );
    const counter = async (name: string) =>
      (await home.run(["mem", "read", name, "0x500", "4", "-o", "json"])).stdout;
    assert.equal(await counter("try-1"), await counter("gold"));
    records(await home.run(["resume", "try-1"]));
    while (await counter("try-1") === await counter("gold"));
    assert.equal(await counter("try-2"), await counter("gold"));
    const [grandchild] = records(await home.line("hvsh fork try-2 -n grand | hvsh resume"));
    assert.deepEqual([grandchild!.live, grandchild!.state], ["grand", "running"]);
    // A taken name is refused, and harms nobody.
    const taken = await home.run(["fork", "gold", "-n", "grand"]);
    assert.equal(taken.status, 125);
    assert.match(taken.stderr, /grand/);
    for (const name of ["gold", "try-1", "try-2", "try-3", "grand"]) {
      await home.run(["kill", name]);
      await home.run(["wait", name]);
    }
  },
);

onKvm("a corpus is tried on copies: written, run to their ends, and forgotten", async () => {
  await using home = new HvshHome();
  await detached(home, "gold", WAIT_FOR_STATUS);
  await home.run(["pause", "gold"]);
  home.write("seven", Uint8Array.of(7));
  const tried = await home.line(
    "hvsh fork gold --rm | hvsh mem write 0x600 seven | hvsh resume --wait --timeout 60",
  );
  assert.equal(tried.status, 7);
  const late = await home.line("hvsh fork gold --rm | hvsh resume --wait --timeout 0.2");
  assert.equal(late.status, 124);
  const [left, ...more] = records(await home.run(["list"]));
  assert.deepEqual([left!.live, more.length], ["gold", 0]);
  await home.run(["kill", "gold"]);
  await home.run(["wait", "gold"]);
});
