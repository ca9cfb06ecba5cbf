/**
 * A machine's state as a stream's records.
 *
 * @module
 */
import { boardToJson } from "./board_state.ts";
import { fwCfgToJson } from "./fw_cfg_json.ts";
import type { MachineSnapshot } from "./machine_state.ts";
import { memoryRecord } from "./record_names.ts";
import type { SavedRegion } from "./regions.ts";
import type { StreamWriter } from "./stream_writer.ts";
import { vcpuToJson } from "./vcpu_state.ts";
import { isZero } from "./zeros.ts";

/** The version of the stream's format. */
export const STREAM_VERSION = 1;
/** Bytes of a record of memory. */
export const CHUNK = 65536;
/** Pieces of memory that stay as they are while others are looked at. */
const MOST_PIECES = 64;
/** Bytes of memory whose pages are a byte of a bitmap. */
const BYTE_OF_PAGES = 8 * 4096;

/** Memory that is saved, by regions' names. */
export interface SavedMemory {
  /**
   * Pieces of a region that may have something in them, in order; they stay as they are until the next
   * but 64 is asked for.
   *
   * @param region The region
   */
  pieces(region: SavedRegion): Iterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
}

/** Records by name, in order. */
export type Records = readonly (readonly [name: string, value: unknown])[];

/** The records of a state, but for memory. */
export interface StateRecords {
  /** What comes first: what the machine is. */
  readonly machine: Records;
  /** How it stands. */
  readonly state: Records;
}

/** Which snapshot a stream is. */
export interface SnapshotIdentity {
  /** Its own, unlike all others'. */
  readonly id?: string;
  /** The one that it has the changes of. */
  readonly base?: string;
}

/**
 * The records of a machine's state.
 *
 * @param snapshot The state
 * @param identity Which snapshot it becomes
 */
export function stateRecords(
  snapshot: MachineSnapshot,
  identity: SnapshotIdentity = {},
): StateRecords {
  const { vcpus, board, devices } = snapshot;
  return {
    machine: machineRecords(snapshot, identity),
    state: [
      ...vcpus.map((state, id) => [`cpu/${id}.json`, vcpuToJson(state)] as const),
      ["board.json", boardToJson(board)],
      ...devices.map((record) => [`dev/${record.name}.json`, record] as const),
    ],
  };
}

/**
 * The records of what a machine is, which come first.
 *
 * @param snapshot Its state
 * @param identity Which snapshot it becomes
 */
export function machineRecords(
  { document, regions, fwCfg, unknown }: Pick<
    MachineSnapshot,
    "document" | "regions" | "fwCfg" | "unknown"
  >,
  identity: SnapshotIdentity = {},
): Records {
  const state = {
    ...unknown,
    ...identity,
    version: STREAM_VERSION,
    time: new Date().toISOString(),
    memory: regions,
  };
  return [
    ["vm.json", { ...document, state }],
    ...(fwCfg === undefined ? [] : [["fw_cfg.json", fwCfgToJson(fwCfg)] as const]),
  ];
}

/**
 * Writes records of JSON.
 *
 * @param writer The stream
 * @param records The records
 */
export async function writeRecords(writer: StreamWriter, records: Records): Promise<void> {
  for (const [name, value] of records) await writer.json(name, value);
}

/**
 * Writes memory; what is zero is left out.
 *
 * @param writer The stream
 * @param regions The machine's regions
 * @param memory What is in them
 */
export async function writeMemory(
  writer: StreamWriter,
  regions: readonly SavedRegion[],
  memory: SavedMemory,
): Promise<void> {
  let count = 0;
  for (const region of regions) {
    if (region.shared !== undefined) continue;
    for (const { offset, bytes } of memory.pieces(region)) {
      if (!isZero(bytes)) {
        const waits = writer.record(memoryRecord(region.name, offset), bytes);
        if (waits !== undefined) await waits; // which takes a while even where there is nothing to wait for
      }
      if (++count % MOST_PIECES === 0) await writer.flush();
    }
  }
}

/**
 * Writes what of memory has changed, zeros too.
 *
 * @param writer The stream
 * @param regions The machine's regions
 * @param memory What is in them
 * @param dirty For each region a bit a page, the first page's the lowest of the first byte
 */
export async function writeChanges(
  writer: StreamWriter,
  regions: readonly SavedRegion[],
  memory: { read(address: number, length: number): Uint8Array },
  dirty: readonly Uint8Array[],
): Promise<void> {
  let read = 0;
  for (const [i, { name, base, size, shared }] of regions.entries()) {
    if (shared !== undefined) continue;
    const bits = dirty[i]!;
    for (let offset = 0; offset < size; offset += CHUNK) {
      const first = offset / BYTE_OF_PAGES;
      if (!bits.subarray(first, first + CHUNK / BYTE_OF_PAGES).some((byte) => byte !== 0)) continue;
      const bytes = memory.read(base + offset, Math.min(CHUNK, size - offset));
      await writer.record(memoryRecord(name, offset), bytes);
      if (++read % MOST_PIECES === 0) await writer.flush();
    }
  }
  await writer.flush();
}
