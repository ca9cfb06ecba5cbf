/**
 * Streams as versions of hvsh wrote them, in tests/data/streams: what later versions must still take.
 *
 *     deno run -A tests/old_streams.ts     writes those of this version
 *
 * @module
 */
import "./c_library.ts";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { parseDocument, type VmDocument } from "../vmm/document.ts";
import { Machine } from "../vmm/machine.ts";
import { saveMachine } from "../vmm/state/machine_state.ts";
import { ownMemory } from "../vmm/state/own_memory.ts";
import {
  stateRecords,
  STREAM_VERSION,
  writeMemory,
  writeRecords,
} from "../vmm/state/save_stream.ts";
import { StreamWriter } from "../vmm/state/stream_writer.ts";
import { counted, type CountingGuest, countingGuest } from "./counting_lines.ts";
import { Transcript } from "./flat_machine.ts";
import { Script, scriptDocument } from "./script_guest.ts";
import { placeBars, prove } from "./script_virtio.ts";
import { VirtioEntries } from "./virtio_entries.ts";

const FOLDER = new URL("./data/streams/", import.meta.url);
const FOR_EVER = 0xffff_ffff;
/** What a CPU of any host has. */
const cpu = { template: "minimal" };

/** Guests that count, and one that works a device of each kind. */
export const OLD_GUESTS = ["lines", "two", "ticks", "devices"] as const;
/** One of them. */
export type OldGuest = typeof OLD_GUESTS[number];

/**
 * A stream.
 *
 * @param version The format's version
 * @param guest Which
 * @returns Its bytes
 */
export function oldStream(version: number, guest: OldGuest): Uint8Array {
  return zstdDecompressSync(Deno.readFileSync(fileOf(version, guest)));
}

/**
 * Waits until a machine's guest has done something.
 *
 * @param machine The machine
 * @param guest What it runs
 * @param transcript Its console
 */
export async function works(
  machine: Machine,
  guest: OldGuest,
  transcript: Transcript,
): Promise<void> {
  if (guest !== "devices") return void await transcript.until(200);
  const reads = () => machine.stats().disk0!.reads!;
  const from = reads();
  while (reads() < from + 3 && machine.state === "running") {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/**
 * The devices of the guest that works them.
 *
 * @param entries What stands behind them
 */
export function workedDevices(entries: VirtioEntries): Record<string, unknown>[] {
  const named = entries.all().map((entry) => ({ ...entry, name: `${entry.type}0` }));
  const mmio = { type: "rng", name: "mmio", transport: "mmio" };
  return [{ type: "serial", name: "serial0" }, ...named, mmio];
}

function documentOf(guest: OldGuest, entries: VirtioEntries): VmDocument {
  if (guest !== "devices") {
    const document = countingGuest(guest as CountingGuest, `v${STREAM_VERSION}`, { cpu });
    return parseDocument(document, "old_streams.ts");
  }
  const devices = workedDevices(entries);
  const slots = devices.slice(1, -1);
  const script = new Script();
  slots.forEach((_, i) => placeBars(script, i + 1));
  script.repeat(FOR_EVER, () => {
    prove(script, { mmio: 0 }, "rng", 0);
    slots.forEach(({ type }, i) => prove(script, { slot: i + 1 }, type as string, i + 1));
  });
  return scriptDocument(script, devices, { cpu });
}

async function streamOf(machine: Machine): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
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
  });
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

function fileOf(version: number, guest: OldGuest): URL {
  return new URL(`v${version}-${guest}.tar.zst`, FOLDER);
}

if (import.meta.main) {
  Deno.mkdirSync(FOLDER, { recursive: true });
  for (const guest of OLD_GUESTS) {
    await using entries = new VirtioEntries();
    await using machine = await Machine.create(documentOf(guest, entries));
    const transcript = new Transcript(machine);
    machine.start();
    await works(machine, guest, transcript);
    const stream = zstdCompressSync(await streamOf(machine));
    Deno.writeFileSync(fileOf(STREAM_VERSION, guest), stream);
    if (guest !== "devices") counted(guest, transcript.text);
    console.log(`${guest}: ${stream.length} bytes`);
  }
  Deno.exit(0); // the machines' threads would keep it
}
