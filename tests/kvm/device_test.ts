import assert from "node:assert/strict";
import type { VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, type Placed, Transcript } from "../flat_machine.ts";
import { ACCESSES, EIGHTY_WRITES, FIRST_CPU, listing } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { BURST } from "./burst_device.ts";

/** A document with one of the devices beside this file. */
function withDevice(
  file: string,
  code: Uint8Array<ArrayBuffer> | readonly Placed[],
  flat = {},
  more = {},
): VmDocument {
  const module = new URL(file, import.meta.url).href;
  return flatDocument(code, flat, { devices: [{ type: "module", module }], ...more });
}

onKvm("a device sees accesses of 1, 2 and 4 bytes, split and repeated ones in order", async () => {
  await using machine = await Machine.create(
    withDevice("access_log_device.ts", ACCESSES, { mode: "long" }),
  );
  const transcript = new Transcript(machine);
  machine.start();
  assert.equal((await machine.ended).kind, "halt");
  assert.deepEqual(transcript.text.trimEnd().split("\n"), [
    ...["port w1@0=11", "port w2@0=2211", "port w4@0=44332211"],
    ...["port r1@0", "port r2@0", "port r4@0", "port w4@0=a3a2a1a0"],
    // A device of bytes gets four of them.
    ...["byte w1@0=a0", "byte w1@1=a1", "byte w1@2=a2", "byte w1@3=a3"],
    // Over the end of its ports: ones behind it.
    ...["port r2@6", "port w4@0=ffffa7a6"],
    ...["mem w1@0=11", "mem w2@2=2211", "mem w4@4=44332211"],
    // Eight bytes are two times four.
    ...["mem w4@8=44332211", "mem w4@12=88776655"],
    ...["mem r4@8", "mem r4@12", "port w4@0=abaaa9a8", "port w4@0=afaeadac"],
    ...["mem r4@1", "port w4@0=a4a3a2a1"],
    ...["mem r2@14", "port w4@0=ffffafae"],
    ...["port w2@0=201", "port w2@0=403", "port w2@0=605"], // rep outsw
    ...["port r1@0", "port r1@0", "port r1@0", "port r1@0"], // rep insb
    "port w4@0=a0a0a0a0",
    ...["mem w4@0=a0a0a0a0", "mem w4@4=8070605"], // rep movsd
  ]);
});

onKvm("nothing is lost while a reader is slow, and the guest waits for it", async () => {
  await using machine = await Machine.create(withDevice("burst_device.ts", EIGHTY_WRITES));
  let [received, readers] = [0, 0];
  machine.console.attach(async (bytes) => {
    assert.equal(++readers, 1); // one piece at a time
    for (const [i, byte] of bytes.entries()) assert.equal(byte, (received + i) & 0xff);
    received += bytes.length;
    await new Promise((resolve) => setTimeout(resolve));
    readers--;
  });
  machine.start();
  assert.equal((await machine.ended).kind, "halt");
  assert.equal(received, 80 * BURST);
});

onKvm("a guest whose reader never reads can be paused, resumed and ended", async () => {
  await using machine = await Machine.create(withDevice("burst_device.ts", EIGHTY_WRITES));
  const stuck = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  machine.console.attach(() => {
    started.resolve();
    return stuck.promise;
  });
  machine.start();
  await started.promise;
  for (let round = 0; round < 5; round++) {
    await machine.pause();
    machine.resume();
  }
  const end = machine.stop();
  assert.equal((await end).kind, "killed");
  stuck.resolve();
});

onKvm(
  "a device that throws ends the VM with an error that says so, and leaves nothing",
  async () => {
    const before = openVmFiles();
    const read = listing(`
    66 ba 00 03           mov dx, 0x300
    ec                    in al, dx
    f4                    hlt
  `);
    // With a second CPU, which has nothing to do with it and must end too.
    for (const cpus of [1, 2]) {
      {
        await using machine = await Machine.create(
          withDevice("throwing_device.ts", read, { mode: "protected" }, { cpus }),
        );
        machine.start();
        await assert.rejects(machine.ended, /vCPU 0: Device module0: The device has a mistake/);
      }
      assert.deepEqual(openVmFiles(), before);
    }
  },
);

onKvm("two CPUs may use one device at once", async () => {
  // Both flood; each line is written under the device's lock, so no two lines mix.
  const flood = listing(`
    ba 00 03              mov dx, 0x300
    ee                    out dx, al            ; again:
    eb fd                 jmp again
  `);
  const flood32 = listing(`
    66 ba 00 03           mov dx, 0x300
    ee                    out dx, al            ; again:
    eb fd                 jmp again
  `);
  const start = FIRST_CPU.slice(0, 24); // up to the wait for the other one
  await using machine = await Machine.create(withDevice(
    "access_log_device.ts",
    [
      { code: Uint8Array.of(...start, ...flood32), base: 0x1_0000 },
      { code: flood, base: 0x1_1000 },
    ],
    { mode: "protected" },
    { cpus: 2 },
  ));
  const transcript = new Transcript(machine);
  machine.start();
  await transcript.until(20_000);
  await machine.stop();
  const lines = new Set(transcript.text.split("\n").slice(0, -1));
  for (const line of lines) assert.match(line, /^port w1@0=[0-9a-f]{1,2}$/);
});
