/** Machines that run before their memory is there: what they touch comes to them. */
import assert from "node:assert/strict";
import { memoryRecord } from "../../vmm/state/record_names.ts";
import {
  countedOn,
  fromFile,
  HEADER,
  Piped,
  placeOf,
  recordsOf,
  saved,
  streamOf,
} from "../arriving_state.ts";
import { Transcript } from "../flat_machine.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { TestFolder } from "../sh_line.ts";

for (const cpus of [1, 2] as const) {
  onKvm(`${cpus} vCPUs wait for memory that comes through a pipe, and count on`, async () => {
    const state = await saved(cpus);
    const open = openVmFiles();
    {
      await using piped = new Piped();
      const memory = placeOf(state, memoryRecord("ram0", 0));
      piped.send(state.bytes.subarray(0, memory + HEADER));
      const machine = await piped.machine;
      const transcript = new Transcript(machine);
      machine.start();
      const half = placeOf(state, memoryRecord("ram0", 0x2_0000));
      piped.send(state.bytes.subarray(memory + HEADER, half));
      assert.ok(transcript.text.length <= 1); // its counter is not there
      piped.send(state.bytes.subarray(half));
      await countedOn(machine, state, transcript);
    }
    assert.deepEqual(openVmFiles(), open);
  });

  onKvm(`${cpus} vCPUs wait for memory that is read from a file, and count on`, async () => {
    const state = await saved(cpus);
    await using folder = new TestFolder();
    await using machine = await fromFile(folder.write("vm.tar", state.bytes));
    const transcript = new Transcript(machine);
    machine.start();
    await countedOn(machine, state, transcript);
  });
}

onKvm("a file's memory may lie in any order", async () => {
  const state = await saved();
  const [first, ...others] = recordsOf(state.bytes);
  await using folder = new TestFolder();
  const path = folder.write("vm.tar", await streamOf([first!, ...others.reverse()]));
  await using machine = await fromFile(path);
  const transcript = new Transcript(machine);
  machine.start();
  await countedOn(machine, state, transcript);
});
