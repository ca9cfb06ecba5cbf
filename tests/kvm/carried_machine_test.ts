/** Guests that count are carried from machine to machine of one process, by streams in memory. */
import assert from "node:assert/strict";
import { parseDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { loadStream } from "../../vmm/state/load_stream.ts";
import { saveMachine } from "../../vmm/state/machine_state.ts";
import { ownMemory } from "../../vmm/state/own_memory.ts";
import { stateRecords, writeMemory, writeRecords } from "../../vmm/state/save_stream.ts";
import { StreamWriter } from "../../vmm/state/stream_writer.ts";
import { counted, countingGuest, RING_3_COUNT } from "../counting_lines.ts";
import { Transcript } from "../flat_machine.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";

const MACHINES = 6;
/** Letters that a guest is to have said before it is moved; the first time it has only just begun. */
const ENOUGH = 100;
const DEADLINE = 180_000;

/** A machine's stream, as it is at this moment. */
async function streamOf(machine: Machine): Promise<Uint8Array<ArrayBuffer>[]> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const writer = new StreamWriter({
    write: (pieces) => void parts.push(...pieces.map((piece) => piece.slice())),
  });
  await machine.freeze(async (frozen) => {
    const snapshot = saveMachine(machine, frozen);
    const { machine: first, state } = stateRecords(snapshot);
    await writeRecords(writer, first);
    await writeMemory(writer, snapshot.regions, ownMemory(frozen.memory));
    await writeRecords(writer, state);
    await writer.end();
    machine.stop(); // where it stands
  });
  return parts;
}

async function machineOf(parts: Uint8Array<ArrayBuffer>[]): Promise<Machine> {
  const rest = [...parts];
  return await loadStream({
    read(into) {
      const part = rest[0];
      if (part === undefined) return 0;
      const count = Math.min(into.length, part.length);
      into.set(part.subarray(0, count));
      if (count === part.length) rest.shift();
      else rest[0] = part.subarray(count);
      return count;
    },
  });
}

for (const guest of ["lines", "two", "ticks"] as const) {
  onKvm(`a guest that counts, ${guest}, goes on in machine after machine`, async () => {
    const open = openVmFiles();
    let text = "";
    let stream: Uint8Array<ArrayBuffer>[] | undefined;
    for (let number = 0; number < MACHINES; number++) {
      await using machine = stream === undefined
        ? await Machine.create(parseDocument(countingGuest(guest, "vm"), "a test"))
        : await machineOf(stream);
      const transcript = new Transcript(machine);
      machine.start();
      await transcript.until(number === 0 ? 1 : ENOUGH);
      stream = await streamOf(machine);
      assert.equal((await machine.ended).kind, "killed");
      text += transcript.text;
    }
    assert.ok(counted(guest, text) > 0);
    assert.ok(text.length > (MACHINES - 1) * ENOUGH);
    assert.deepEqual(openVmFiles(), open);
  });
}

onKvm("a tight loop in ring 3 goes on in machine after machine, no count lost", async () => {
  let stream: Uint8Array<ArrayBuffer>[] | undefined;
  let last = 0n;
  for (let number = 0; number < MACHINES; number++) {
    await using machine = stream === undefined
      ? await Machine.create(parseDocument(countingGuest("ring3", "vm"), "a test"))
      : await machineOf(stream);
    const look = () =>
      machine.inspect(({ vcpus, memory }) => {
        const { buffer } = memory.regions[0]!;
        const count = new DataView(buffer).getBigUint64(RING_3_COUNT, true);
        const { rax } = vcpus[0]!.getRegs();
        // One more while its new value is not in memory yet, or before anything was counted.
        assert.ok(rax === count || rax === count + 1n || count === 0n, `${rax} ${count}`);
        return count;
      });
    assert.equal(await look(), last);
    machine.start();
    const end = performance.now() + DEADLINE;
    while (await look() <= last) {
      assert.equal(machine.state, "running");
      assert.ok(performance.now() < end);
    }
    await machine.pause();
    last = await look();
    stream = await streamOf(machine);
  }
});
