import assert from "node:assert/strict";
import { HostError, VmError } from "../../ffi/errors.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { exitWith, HALT, HELLO, MODE, SPIN } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";

/** Runs a document to its end. */
async function run(document: ReturnType<typeof flatDocument>, options = {}) {
  await using machine = await Machine.create(document);
  const transcript = new Transcript(machine);
  machine.start(options);
  const end = await machine.ended;
  return { kind: end.kind, status: end.status, text: transcript.text };
}

onKvm("a boot sector prints and halts, on a thread of its own and on the caller's", async () => {
  const expected = { kind: "halt", status: 0, text: "H\n" };
  assert.deepEqual(await run(flatDocument(HELLO)), expected);
  assert.deepEqual(await run(flatDocument(HELLO), { sprint: true }), expected);
});

onKvm("the guest's own exit status is the VM's", async () => {
  for (const status of [0, 1, 42, 255]) {
    const { kind, status: seen } = await run(flatDocument(exitWith(status)), { sprint: true });
    assert.deepEqual([kind, seen], ["exit", status]);
  }
});

onKvm("a flat guest starts in the mode and at the address that it asks for", async () => {
  const at = (base: number, mode: string) =>
    run(
      flatDocument([{ code: MODE, base }], { mode }, {
        memory: [{ type: "ram", base: 0, size: 0x20_0000 }, {
          type: "ram",
          base: 0x8000_0000,
          size: 0x10_0000,
        }],
      }),
      { sprint: true },
    );
  for (const base of [0, 0x1000, 0x7c00, 0x1_0000, 0x9_0000]) {
    assert.equal((await at(base, "real")).text, "R", `real at ${base}`);
  }
  for (const base of [0x7c00, 0x1_0000, 0x10_0000, 0x8000_0000]) {
    assert.equal((await at(base, "protected")).text, "P", `protected at ${base}`);
    assert.equal((await at(base, "long")).text, "L", `long at ${base}`);
  }
});

onKvm("the entry may be another address than the first image's", async () => {
  const images = [{ code: SPIN, base: 0x8000 }, { code: HELLO, base: 0x9000 }];
  assert.equal((await run(flatDocument(images, { entry: 0x9000 }))).text, "H\n");
});

onKvm("a machine goes only through the states that make sense", async () => {
  await using machine = await Machine.create(flatDocument(SPIN));
  assert.equal(machine.state, "created");
  await assert.rejects(machine.pause(), VmError);
  assert.throws(() => machine.resume(), /Cannot resume a VM that is created/);
  machine.start();
  assert.equal(machine.state, "running");
  assert.throws(() => machine.start(), /Cannot start a VM that is running/);
  assert.throws(() => machine.resume(), /Cannot resume a VM that is running/);
  await machine.pause();
  assert.equal(machine.state, "paused");
  await assert.rejects(machine.pause(), /Cannot pause a VM that is paused/);
  machine.resume();
  assert.deepEqual(await machine.stop(), { kind: "killed", status: 137 });
  assert.equal(machine.state, "ended");
  await assert.rejects(machine.pause(), /Cannot pause a VM that is ended/);
  assert.deepEqual(await machine.stop("timeout"), { kind: "killed", status: 137 });
});

onKvm("a machine that was never started can be ended", async () => {
  await using machine = await Machine.create(flatDocument(HALT));
  assert.deepEqual(await machine.stop(), { kind: "killed", status: 137 });
});

onKvm("one that starts paused runs nothing until it is resumed", async () => {
  await using machine = await Machine.create(flatDocument(HELLO));
  const transcript = new Transcript(machine);
  machine.start({ paused: true });
  assert.equal(machine.state, "paused");
  machine.resume();
  assert.equal((await machine.ended).kind, "halt");
  assert.equal(transcript.text, "H\n");
});

onKvm("await using gives everything back, however the machine ended", async () => {
  const before = openVmFiles();
  const ways: Record<string, (machine: Machine) => void | Promise<unknown>> = {
    created: () => {},
    running: (machine) => machine.start(),
    paused: async (machine) => {
      machine.start();
      await machine.pause();
    },
    "told to end": async (machine) => {
      machine.start();
      await machine.stop();
    },
  };
  for (const more of [{}, { cpus: 2 }]) {
    for (const [way, go] of Object.entries(ways)) {
      {
        await using machine = await Machine.create(flatDocument(SPIN, {}, more));
        assert.notDeepEqual(openVmFiles(), before);
        await go(machine);
      }
      assert.deepEqual(openVmFiles(), before, way);
    }
  }
});

onKvm("what cannot be created leaves nothing open", async () => {
  const before = openVmFiles();
  const bad: [Record<string, unknown>, RegExp][] = [
    [{ boot: {} }, /nothing to boot/],
    [{ devices: [{ type: "serail" }] }, /No device is of type "serail"/],
    [{ devices: [{ type: "serial", port: 0x3f8 }, { type: "serial", port: 0x3f8 }] }, /0x3f8/],
    [{ cpu: { mask: ["cx61"] } }, /"cx61" is no CPU feature/],
    [{ cpus: 2, irqchip: false }, /2 vCPUs need interrupt controllers/],
    [{ memory: [{ type: "ram", base: 0xfee0_0000, size: 4096 }] }, /0x7c00/],
  ];
  for (const [more, message] of bad) {
    await assert.rejects(Machine.create(flatDocument(HALT, {}, more)), message);
    assert.deepEqual(openVmFiles(), before);
  }
  // KVM takes no more than 2^31 pages in a slot.
  const huge = { memory: [{ type: "ram", base: 0, size: 2 ** 44 }] };
  await assert.rejects(Machine.create(flatDocument(HALT, {}, huge)), HostError);
  assert.deepEqual(openVmFiles(), before);
});
