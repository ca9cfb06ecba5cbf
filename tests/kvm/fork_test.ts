/** Copies of live VMs, in the same process. */
import assert from "node:assert/strict";
import { create, type ForkPool, type Vm, VmError } from "../../mod.ts";
import { GdbTarget } from "../../vmm/debug/gdb/target.ts";
import { Machine } from "../../vmm/machine.ts";
import { forkMachine, type ForkSource, forkSource } from "../../vmm/state/fork.ts";
import { flatDocument } from "../flat_machine.ts";
import { listing } from "../guest_code.ts";
import { openFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { Script, SCRIPT_MEMORY, scriptDocument } from "../script_guest.ts";
import { placeBars, prove } from "../script_virtio.ts";

const COUNTER = 0x500;
/** A word of a script's memory that says that it has come there. */
const READY = SCRIPT_MEMORY.base + 0xf000;

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

onKvm("what devices write into a paused original is in later copies", async () => {
  const script = new Script();
  placeBars(script, 1);
  const last = prove(script, { slot: 1 }, [0, [], [64]], 1, { wait: false });
  script.write(1, READY, 1);
  script.until(READY, 0);
  const devices = [{ type: "console", name: "input" }];
  await using machine = await Machine.create(scriptDocument(script, devices));
  const byte = (of: Machine, at: number) => of.inspect(({ memory }) => memory.read(at, 1)[0]);
  machine.start();
  while (await byte(machine, READY) !== 1);
  await machine.pause();
  const first = last - 63;
  using before = await forkSource(machine);
  await machine.console.send(Uint8Array.of(7), "input");
  while (await byte(machine, first) !== 7);
  using after = await forkSource(machine);
  await using later = await forkMachine(after);
  assert.equal(await byte(later, first), 7);
  // As the device's state says it: the buffer is used.
  const used = SCRIPT_MEMORY.base + 0x1200 + 2;
  assert.equal(await byte(later, used), 1);
  await using earlier = await forkMachine(before);
  assert.deepEqual([await byte(earlier, first), await byte(earlier, used)], [0, 0]);
});

onKvm("what GDB writes into a paused original is in later copies", async () => {
  await using machine = await Machine.create(flatDocument(COUNT));
  machine.start({ paused: true });
  const target = await GdbTarget.open(machine);
  (await forkSource(machine))[Symbol.dispose]();
  await target.writeMemory(0, 0x2000n, Uint8Array.of(7));
  using source = await forkSource(machine);
  await using copy = await forkMachine(source);
  assert.equal(await copy.inspect(({ memory }) => memory.read(0x2000, 1)[0]), 7);
});

onKvm("an original that nothing has written has the same image for all copies", async () => {
  await using machine = await Machine.create(flatDocument(COUNT));
  machine.start({ paused: true });
  using first = await forkSource(machine);
  using second = await forkSource(machine);
  const inodes = ({ files }: ForkSource) =>
    [...files.values()].map(({ fd }) => Deno.statSync(`/proc/self/fd/${fd}`).ino);
  assert.deepEqual(inodes(first), inodes(second));
});

onKvm("the images of a VM that goes on are there as long as copies are made of them", async () => {
  await using vm = await create({ memory: "64M" }).flat(COUNT).start();
  const images = () => openFiles().filter((name) => name.includes("memfd:hvsh-image")).length;
  const moments: [ForkPool, number][] = [];
  for (let i = 0; i < 4; i++) {
    await goesOn(vm);
    await vm.pause();
    moments.push([await vm.forks(), await counted(vm)]);
    vm.resume();
  }
  for (const [pool, at] of moments) {
    await using copy = await pool.fork({ paused: true });
    assert.equal(await counted(copy), at);
    await pool[Symbol.asyncDispose]();
    await assert.rejects(pool.fork(), /was disposed of/);
    copy.resume();
    await goesOn(copy);
  }
  assert.equal(images(), 1); // for the next one, if the VM were still where it was
  for (let i = 0; i < 8; i++) {
    await goesOn(vm);
    await using _copy = await vm.fork({ paused: true });
  }
  assert.equal(images(), 1);
});

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
  await copy.pause();
  await copy.reset();
  assert.equal(await counted(copy), 0);
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
