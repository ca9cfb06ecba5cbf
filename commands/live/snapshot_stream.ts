/**
 * A live VM as a stream: into a pipe, or a file that bears its name only once it is whole.
 *
 * @module
 */
import { DescriptorSink } from "../../vmm/state/descriptor_stream.ts";
import type { Json } from "../../ffi/struct.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { DiskContent, writeDisks } from "../../vmm/state/disk_content.ts";
import { FIRST } from "../../vmm/state/first_record.ts";
import { NewFile } from "../../vmm/state/new_file.ts";
import {
  type Records,
  writeChanges,
  writeMemory,
  writeRecords,
} from "../../vmm/state/save_stream.ts";
import { type StreamSink, StreamWriter } from "../../vmm/state/stream_writer.ts";
import type { SavedMemory } from "../../vmm/state/save_stream.ts";
import type { HeldState } from "./methods/state.ts";

/** A VM whose state stays as it is while it is written: a `HeldVm`. */
export interface StandingVm {
  readonly state: HeldState;
  readonly memory: SavedMemory & { read(address: number, length: number): Uint8Array };
  /** Its disks, if they are to be in the stream too. */
  readonly disks?: readonly DiskContent[];
}

/**
 * Writes a VM's state.
 *
 * @param vm The VM
 * @param sink Where to
 * @param last What to do when all but the end has been written
 */
export async function writeSnapshot(
  { state, memory, disks = [] }: StandingVm,
  sink: StreamSink,
  last?: () => Promise<void>,
): Promise<void> {
  const writer = new StreamWriter(sink);
  // All but memory comes first: who restores it lazily has the VM run while memory comes.
  await writeRecords(writer, withDisks(state.machine, disks));
  await writeRecords(writer, state.state);
  if (state.dirty === undefined) await writeMemory(writer, state.regions, memory);
  else {
    const dirty = state.dirty.map((bits) => Uint8Array.fromBase64(bits));
    await writeChanges(writer, state.regions, memory, dirty);
  }
  await writeDisks(writer, disks);
  if (last !== undefined) {
    await writer.flush();
    await last();
  }
  await writer.end();
}

/**
 * Opens a VM's disks, to be written with its state.
 *
 * @param state The state
 * @param opened Where they are noted, to be closed
 * @throws {VmError} If one can't be had by files
 */
export function disksOf({ machine, state }: HeldState, opened: DisposableStack): DiskContent[] {
  const [, document] = machine[0]! as readonly [string, VmDocument];
  const records = new Map(state as [string, { backing?: Json }][]);
  return (document.devices ?? []).filter(({ type }) => type === "disk").map((entry) => {
    const { backing = null } = records.get(`dev/${entry.name}.json`) ?? {};
    return opened.use(new DiskContent(entry, backing));
  });
}

/**
 * What comes first, with the disks that are inside.
 *
 * @param records The records
 * @param disks The disks
 */
export function withDisks(records: Records, disks: readonly DiskContent[]): Records {
  if (disks.length === 0) return records;
  const inside = disks.map(({ name, size }) => ({ name, size }));
  return records.map(([name, value]) => {
    if (name !== FIRST) return [name, value];
    const first = value as { readonly state: Json };
    return [name, { ...first, state: { ...first.state as Record<string, Json>, disks: inside } }];
  });
}

/**
 * Writes a file, and puts it to its place once it is whole and on the disk.
 *
 * @param path Its place
 * @param write Writes it
 * @throws {HostError} If it can't be written; what was at its place is still there
 */
export async function writeWhole(
  path: string,
  write: (sink: StreamSink) => Promise<void>,
): Promise<void> {
  using file = new NewFile(path);
  await write(new DescriptorSink(file.fd, path));
  file.place();
  file.keep();
}
