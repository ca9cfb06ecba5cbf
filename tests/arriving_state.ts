/**
 * States of guests that count, whose memory comes while they run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { duplicate, openFile, OpenFlag } from "../ffi/files.ts";
import { makePipe } from "../ffi/pipe.ts";
import { Machine } from "../vmm/machine.ts";
import { DescriptorSink } from "../vmm/state/descriptor_stream.ts";
import { loadLazily } from "../vmm/state/load_stream.ts";
import { saveMachine } from "../vmm/state/machine_state.ts";
import { ownMemory } from "../vmm/state/own_memory.ts";
import { stateRecords, writeMemory, writeRecords } from "../vmm/state/save_stream.ts";
import type { LoadOptions } from "../vmm/state/stream_loading.ts";
import { StreamReader } from "../vmm/state/stream_reader.ts";
import { type StreamSink, StreamWriter } from "../vmm/state/stream_writer.ts";
import { assertCounted, assertCounts, countingDocument } from "./counting_guest.ts";
import { Transcript } from "./flat_machine.ts";

/** Counts that a guest has said before its state is taken. */
const BEFORE = 100;
const MIB = 2 ** 20;
/** Bytes of a record's header. */
export const HEADER: number = 512;

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
export interface Saved {
  readonly said: Uint8Array;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const states = new Map<number, Promise<Saved>>();

/** A guest's state; the same one for all tests. */
export function saved(cpus: 1 | 2 = 1): Promise<Saved> {
  const state = states.get(cpus) ?? save(cpus);
  states.set(cpus, state);
  return state;
}

/** Has a guest count, with something in much of its memory, and takes its state. */
async function save(cpus: 1 | 2): Promise<Saved> {
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

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export type Record = readonly [name: string, content: Uint8Array<ArrayBuffer>];

/** A stream's records but the last. */
export function recordsOf(bytes: Uint8Array): Record[] {
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

export async function streamOf(records: readonly Record[]): Promise<Uint8Array<ArrayBuffer>> {
  const sink = new Kept();
  const writer = new StreamWriter(sink);
  for (const [name, content] of records) await writer.record(name, content);
  await writer.end();
  return sink.bytes;
}

/** Where a record begins in a stream. */
export function placeOf({ bytes }: Saved, name: string): number {
  const wanted = new TextEncoder().encode(`${name}\0`);
  for (let at = 0; at < bytes.length; at += 512) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  assert.fail(`there is no ${name}`);
}

/** Looks that a machine which was made from a state has counted on from there, and ends it. */
export async function countedOn(
  machine: Machine,
  { said }: Saved,
  transcript: Transcript,
): Promise<void> {
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
export class Piped implements AsyncDisposable {
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

export async function fromFile(path: string): Promise<Machine> {
  return await loadLazily({ fd: openFile(path, OpenFlag.RDONLY), path, edited: false }, {});
}
