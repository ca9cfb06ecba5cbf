import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { CX16, FIRST_CPU, SECOND_CPU, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

const twoCpus = flatDocument(
  [{ code: FIRST_CPU, base: 0x1_0000 }, { code: SECOND_CPU, base: 0x1_1000 }],
  { mode: "protected" },
  { cpus: 2 },
);

onKvm("the second CPU starts by INIT and SIPI, and both reach the same devices", async () => {
  for (let round = 0; round < 5; round++) {
    await using machine = await Machine.create(twoCpus);
    const transcript = new Transcript(machine);
    machine.start();
    const { kind, status } = await machine.ended;
    assert.deepEqual([kind, status, transcript.text], ["exit", 0, "AB"]);
  }
});

onKvm("a second CPU that waits for its SIPI is paused and ended like a running one", async () => {
  await using machine = await Machine.create(flatDocument(SPIN, {}, { cpus: 2 }));
  machine.start();
  for (let round = 0; round < 10; round++) {
    await machine.pause();
    machine.resume();
  }
  await machine.pause();
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("CPUID has a feature until it is masked", async () => {
  const cx16 = async (cpu: Record<string, unknown>) => {
    await using machine = await Machine.create(flatDocument(CX16, {}, { cpu }));
    const transcript = new Transcript(machine);
    machine.start();
    assert.equal((await machine.ended).kind, "halt");
    return transcript.text;
  };
  assert.equal(await cx16({}), "1");
  assert.equal(await cx16({ mask: ["cx16"] }), "0");
  assert.equal(await cx16({ template: "minimal" }), "1");
});
