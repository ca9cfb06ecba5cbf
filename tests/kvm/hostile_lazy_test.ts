/** Memory that does not come, or not as it should, to machines that run before it is there: they never see it. */
import assert from "node:assert/strict";
import { DocumentError, type HvshError } from "../../ffi/errors.ts";
import type { Machine } from "../../vmm/machine.ts";
import { memoryRecord } from "../../vmm/state/record_names.ts";
import {
  fromFile,
  Piped,
  placeOf,
  type Record,
  recordsOf,
  saved,
  streamOf,
} from "../arriving_state.ts";
import { Transcript } from "../flat_machine.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { TestFolder } from "../sh_line.ts";

/** Looks that a machine whose memory is damaged never sees what is not its own, and hears of it. */
async function failed(machine: Machine, says: RegExp): Promise<void> {
  const transcript = new Transcript(machine);
  machine.start();
  await assert.rejects(machine.filled, (error: HvshError) => {
    assert.ok(error instanceof DocumentError, error.stack);
    assert.match(error.message, says);
    return true;
  });
  await machine[Symbol.asyncDispose]();
  await assert.rejects(machine.ended, (error: Error) => says.test(error.message));
  assert.ok(transcript.text.length <= 1); // what it was about to say
}

onKvm("a stream that is cut off or changed when the VM runs ends it, by its record", async () => {
  const state = await saved();
  const at = placeOf(state, memoryRecord("ram0", 0x2_0000));
  const last = "mem/ram0/0x0000000000";
  const cases: [change: (rest: Uint8Array) => Uint8Array, says: RegExp][] = [
    [(rest) => rest.subarray(0, 0), new RegExp(`^The stream is cut off after ${last}`)],
    [(rest) => rest.subarray(0, 1000), /^The stream is cut off in mem\/ram0\/0x0000020000/],
    [(rest) => (rest[3]! ^= 1, rest), new RegExp(`^What follows ${last} is no header`)],
    [(rest) => (rest[3000]! ^= 1, rest), /^mem\/ram0\/0x0000020000 has been changed/],
  ];
  for (const [change, says] of cases) {
    await using piped = new Piped();
    piped.send(state.bytes.subarray(0, at));
    const machine = await piped.machine;
    piped.send(change(state.bytes.slice(at)));
    piped.end();
    await failed(machine, says);
  }
});

onKvm(
  "all of a file's headers are read before its VM runs, and its memory before it is seen",
  async () => {
    const state = await saved();
    const at = placeOf(state, memoryRecord("ram0", 0x2_0000));
    await using folder = new TestFolder();
    const bytes = state.bytes.slice();
    for (const cut of [at, at + 1000, bytes.length - 512]) {
      const path = folder.write("vm.tar", bytes.subarray(0, cut));
      await assert.rejects(fromFile(path), /^DocumentError: The stream (is cut off|ends) /);
    }
    bytes[at + 3]! ^= 1;
    await assert.rejects(fromFile(folder.write("vm.tar", bytes)), /is no header of a tar archive/);
    bytes[at + 3]! ^= 1;
    bytes[at + 3000]! ^= 1;
    const says = /^mem\/ram0\/0x0000020000 has been changed/;
    try {
      await failed(await fromFile(folder.write("vm.tar", bytes)), says);
    } catch (error) { // it was found before the machine was ready
      assert.match((error as Error).message, says);
    }
  },
);

onKvm("memory that comes too late for a VM to run is refused by the record", async () => {
  const state = await saved();
  const open = openVmFiles();
  const records = recordsOf(state.bytes);
  const [first, ...others] = records;
  const [last, ...rest] = others.filter(([name]) => name.startsWith("mem/")).reverse();
  const machine = others.filter(([name]) => !name.startsWith("mem/"));
  const cases: [Record[], RegExp][] = [
    [[first!, ...rest.reverse(), last!, ...machine], /^The stream has no cpu\/0\.json/],
    [[first!, ...machine, last!, ...rest], /comes after what lies behind it in memory/],
    [[first!, ...machine, last!, machine[0]!], /^cpu\/0\.json comes after memory/],
    [[first!, ...machine, last!, last!], /comes after what lies behind it in memory/],
    [[first!, ...machine, ["mem/ram0/0x100", new Uint8Array(4096)]], /are no whole pages/],
    [[first!, ...machine, ["mem/ram0/0x1000", new Uint8Array(96)]], /are no whole pages/],
    [[first!, ...machine, ["mem/ram0/0xffff000", new Uint8Array(4096)]], /past the end of ram0/],
    [[first!, ...machine, ["mem/ram7/0x1000", new Uint8Array(4096)]], /is of no region/],
  ];
  for (const [records, says] of cases) {
    await using piped = new Piped();
    piped.send(await streamOf(records));
    piped.end();
    const error = await piped.machine.then((machine) => machine.filled).catch((error) => error);
    assert.ok(error instanceof DocumentError, error?.stack);
    assert.match(error.message, says);
  }
  assert.deepEqual(openVmFiles(), open);
});
