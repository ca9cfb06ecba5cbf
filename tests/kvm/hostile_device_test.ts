import assert from "node:assert/strict";
import { VmError } from "../../ffi/errors.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { FLOOD, listing } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const MODULE = new URL("mistaken_device.ts", import.meta.url).href;

/** Reads the device's port, says what came, writes it, then waits in a loop. */
const POKE = listing(`
  ba 00 03              mov dx, 0x300
  ec                    in al, dx
  e6 e9                 out 0xe9, al
  ee                    out dx, al
  eb fe                 jmp $
`);

const documentWith = (where: string, more = {}) =>
  flatDocument(POKE, {}, {
    devices: [{ type: "module", module: MODULE, where }, { type: "serial" }],
    ...more,
  });

for (const where of ["open", "reset"]) {
  onKvm(`a device whose ${where} throws is told when the machine is made`, async () => {
    const before = openVmFiles();
    await assert.rejects(Machine.create(documentWith(where)), {
      name: "VmError",
      message: `Device module0: ${where} fails`,
    });
    assert.deepEqual(openVmFiles(), before);
  });
}

for (const where of ["read", "write", "deadline", "expire", "memory", "bigint"]) {
  onKvm(`a device whose ${where} fails ends its machine with an error that says so`, async () => {
    const before = openVmFiles();
    for (const [cpus, sprint] of [[1, true], [2, false]] as const) {
      await using machine = await Machine.create(documentWith(where, { cpus }));
      machine.start({ sprint });
      await assert.rejects(machine.ended, (error) => {
        assert.ok(error instanceof VmError, String(error));
        assert.match(error.message, /Device module0: /);
        assert.match(error.hint!, /^look at file:/);
        return true;
      });
      assert.equal(machine.state, "ended");
    }
    assert.deepEqual(openVmFiles(), before);
  });
}

onKvm("what a device gives that is no byte is cut to one", async () => {
  const cases = { "undefined": "\0", "NaN": "\0", "minus one": "\xff", "too wide": "\x55" };
  for (const [where, byte] of Object.entries(cases)) {
    await using machine = await Machine.create(documentWith(where));
    const transcript = new Transcript(machine);
    machine.start();
    assert.equal(await transcript.until(1), byte, where);
    await machine.stop();
  }
});

onKvm("a device that wants to be called at NaN is never called", async () => {
  await using machine = await Machine.create(documentWith("never"));
  const transcript = new Transcript(machine);
  machine.start();
  await transcript.until(1);
  await machine.pause();
  machine.resume();
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("a device that fails to take input fails whoever sends it", async () => {
  await using machine = await Machine.create(documentWith("receive"));
  const transcript = new Transcript(machine);
  machine.start();
  await transcript.until(1);
  assert.throws(() => machine.console.send(Uint8Array.of(1)), /Device module0: receive fails/);
  machine.stop();
  await machine.ended.catch((error) => assert.match(error.message, /receive fails/));
});

onKvm("a reader that fails ends its machine with its error", async () => {
  for (
    const fail of [() => Promise.reject(new Error("no room")), () => {
      throw new Error("no room");
    }]
  ) {
    await using machine = await Machine.create(flatDocument(FLOOD));
    machine.console.attach(fail);
    machine.start();
    await assert.rejects(machine.ended, /no room/);
  }
});

onKvm("hvsh run tells of each mistake in a device with 125, its name and its place", async () => {
  await using home = new HvshHome();
  for (const where of ["open", "reset", "write", "expire"]) {
    const { status, stdout, stderr } = await home.run(
      ["run", "-n", "mistaken"],
      JSON.stringify(documentWith(where)),
    );
    assert.equal(status, 125);
    // What the guest had said before is there, if it had come to that.
    if (where === "write") assert.equal(stdout, "\0");
    else assert.match(stdout, /^\0?$/);
    assert.match(stderr, new RegExp(`^hvsh run: (vCPU 0: )?Device module0: ${where} fails\n`));
    assert.match(stderr, /\n {2}try: look at file:\S+mistaken_device\.ts:\d+:\d+\n$/);
  }
});
