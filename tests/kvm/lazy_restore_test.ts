/** Machines that run before their memory is there: what they touch comes to them, or they never see it. */
import assert from "node:assert/strict";
import { DocumentError, type HvshError } from "../../ffi/errors.ts";
import { duplicate, openFile, OpenFlag } from "../../ffi/files.ts";
import { makePipe } from "../../ffi/pipe.ts";
import { Machine } from "../../vmm/machine.ts";
import { DescriptorSink } from "../../vmm/state/descriptor_stream.ts";
import { loadLazily } from "../../vmm/state/load_stream.ts";
import { saveMachine } from "../../vmm/state/machine_state.ts";
import { memoryRecord } from "../../vmm/state/record_names.ts";
import { ownMemory } from "../../vmm/state/own_memory.ts";
import { stateRecords, writeMemory, writeRecords } from "../../vmm/state/save_stream.ts";
import type { LoadOptions } from "../../vmm/state/stream_loading.ts";
import { StreamReader } from "../../vmm/state/stream_reader.ts";
import { type StreamSink, StreamWriter } from "../../vmm/state/stream_writer.ts";
import { assertCounted, assertCounts, countingDocument } from "../counting_guest.ts";
import { Transcript } from "../flat_machine.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { TestFolder } from "../sh_line.ts";

/** Counts that a guest has said before its state is taken. */
const BEFORE = 100;
const MIB = 2 ** 20;
/** Bytes of a record's header. */
const HEADER = 512;

class Kept implements StreamSink {
  readonly parts: Uint8Array<ArrayBuffer>[] = [];
  write(pieces: readonly Uint8Array[]): void {
    this.parts.push(...pieces.map((piece) => piece.slice()));
  }
  get bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.parts.reduce((sum, { length }) => sum + length, 0));
    this.parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
    return bytes;
  }
}

/** A guest's state as a stream, and what it has said until then. */
interface Saved {
  readonly said: Uint8Array;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Has a guest count, with something in each of its memory's pieces, and takes its state. */
async function saved(cpus: 1 | 2 = 1): Promise<Saved> {
  await using machine = await Machine.create(countingDocument(cpus));
  const transcript = new Transcript(machine);
  machine.start();
  await transcript.until(BEFORE);
  const sink = new Kept();
  await machine.freeze(async (frozen) => {
    frozen.memory.bytes(0x8_0000, 0x4_0000).fill(0x55);
    const snapshot = saveMachine(machine, frozen);
    const { machine: first, state } = stateRecords(snapshot);
    const writer = new StreamWriter(sink);
    await writeRecords(writer, [...first, ...state]);
    await writeMemory(writer, snapshot.regions, ownMemory(frozen.memory));
    await writer.end();
    machine.stop(); // where it stands
  });
  await machine.ended;
  return { said: bytesOf(transcript.text), bytes: sink.bytes };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

type Record = readonly [name: string, content: Uint8Array<ArrayBuffer>];

/** A stream's records but the last. */
function recordsOf(bytes: Uint8Array): Record[] {
  const records: Record[] = [];
  const reader = new StreamReader({
    memory(name, size) {
      records.push([name, new Uint8Array(size)]);
      return records.at(-1)![1];
    },
    record: (...record) => void records.push(record),
  });
  reader.push(bytes);
  return records;
}

async function streamOf(records: readonly Record[]): Promise<Uint8Array<ArrayBuffer>> {
  const sink = new Kept();
  const writer = new StreamWriter(sink);
  for (const [name, content] of records) await writer.record(name, content);
  await writer.end();
  return sink.bytes;
}

/** Where a record begins in a stream. */
function placeOf({ bytes }: Saved, name: string): number {
  const wanted = new TextEncoder().encode(`${name}\0`);
  for (let at = 0; at < bytes.length; at += 512) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  assert.fail(`there is no ${name}`);
}

/** Looks that a machine which was made from a state has counted on from there, and ends it. */
async function countedOn(machine: Machine, { said }: Saved, transcript: Transcript): Promise<void> {
  await transcript.until(BEFORE);
  await machine.filled;
  const memory = await machine.freeze(({ memory }) => {
    machine.stop();
    return memory.read(0, MIB);
  });
  await machine.ended;
  const all = Uint8Array.from([...said, ...bytesOf(transcript.text)]);
  assertCounts(all);
  assertCounted(memory, all.length);
  assert.ok(memory.subarray(0x8_0000, 0xc_0000).every((byte) => byte === 0x55));
  assert.ok(memory.subarray(0xc_0000).every((byte) => byte === 0));
}

/** A machine whose memory comes through a pipe. */
class Piped implements AsyncDisposable {
  readonly #pipe = makePipe();
  readonly #sink = new DescriptorSink(this.#pipe.writer.fd, "pipe");
  readonly machine: Promise<Machine>;

  constructor(options: LoadOptions = {}) {
    const source = { fd: duplicate(this.#pipe.reader.fd), path: "pipe", edited: false };
    this.machine = loadLazily(source, options);
    this.machine.catch(() => {});
  }

  send(bytes: Uint8Array): void {
    this.#sink.write([bytes]);
  }

  end(): void {
    this.#pipe.writer[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pipe[Symbol.dispose]();
    await (await this.machine.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

async function fromFile(path: string): Promise<Machine> {
  return await loadLazily({ fd: openFile(path, OpenFlag.RDONLY), path, edited: false }, {});
}

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
