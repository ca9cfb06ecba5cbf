import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { forkSource } from "../../vmm/state/fork.ts";
import { flatDocument } from "../flat_machine.ts";
import { COUNT } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

const PAGE = 4096;
/** Where COUNT counts, and where its code lies. */
const COUNTER = 0x1_0000;
const CODE = 0x7c00;

/** Numbers of the pages of a bitmap. */
function pages(bitmap: Uint8Array): number[] {
  return [...bitmap].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0).map((bit) => 8 * i + bit)
  );
}

onKvm("what the guest and its devices write is in the log until it is taken", async () => {
  await using machine = await Machine.create(flatDocument(COUNT));
  machine.start();
  const { dirtyLog } = machine;
  const take = () => pages(dirtyLog.take()[0]!);
  const counted = async () => {
    const count = () => machine.inspect(({ memory }) => memory.readU32(COUNTER));
    const before = await count();
    while (await count() === before);
  };
  await counted();
  dirtyLog.start();
  assert.ok(dirtyLog.on);
  await counted();
  assert.deepEqual(take(), [COUNTER / PAGE]);
  await machine.pause();
  take();
  assert.deepEqual(take(), []);
  await machine.freeze(({ memory }) => memory.write(0x8_0ffe, Uint8Array.of(1, 2, 3, 4)));
  assert.deepEqual(take(), [0x80, 0x81]);
  machine.resume();
  await counted();
  assert.deepEqual(take(), [COUNTER / PAGE]);
  dirtyLog.stop();
  assert.equal(dirtyLog.on, false);
});

onKvm("a machine that starts anew has changed everywhere", async () => {
  await using machine = await Machine.create(flatDocument(COUNT));
  machine.start();
  machine.dirtyLog.start();
  await machine.reset();
  await machine.pause();
  const all = pages(machine.dirtyLog.take()[0]!);
  assert.equal(all.length, 2 ** 20 / PAGE);
  assert.ok(all.includes(Math.floor(CODE / PAGE)));
});

onKvm(
  "copies are made while changes are noted, and not while a migration reads memory",
  async () => {
    await using machine = await Machine.create(flatDocument(COUNT));
    machine.start();
    const { dirtyLog } = machine;
    dirtyLog.start({ fixed: false });
    await machine.pause();
    dirtyLog.take();
    await machine.freeze(({ memory }) => memory.write(0x8_0000, Uint8Array.of(1)));
    (await forkSource(machine))[Symbol.dispose]();
    await machine.freeze(({ memory }) => memory.write(0x9_0000, Uint8Array.of(1)));
    assert.deepEqual(pages(dirtyLog.take()[0]!), [0x80, 0x90]);
    machine.resume();
    const count = () => machine.inspect(({ memory }) => memory.readU32(COUNTER));
    const before = await count();
    while (await count() === before);
    (await forkSource(machine))[Symbol.dispose]();
    assert.deepEqual(pages(dirtyLog.take()[0]!), [COUNTER / PAGE]);
    dirtyLog.start();
    await assert.rejects(forkSource(machine), /Cannot make copies while the VM is being migrated/);
    dirtyLog.stop();
    (await forkSource(machine))[Symbol.dispose]();
  },
);

onKvm("while memory is logged devices neither come nor go", async () => {
  const document = flatDocument(COUNT, {}, { devices: [{ type: "serial" }, { type: "rng" }] });
  await using machine = await Machine.create(document);
  machine.start();
  machine.dirtyLog.start();
  const migrated = { message: /while the VM is being migrated/ };
  await assert.rejects(machine.attach({ type: "rng" }), migrated);
  await assert.rejects(machine.detach("rng0"), migrated);
  machine.dirtyLog.stop();
  assert.equal(await machine.attach({ type: "rng" }), "rng1");
});
