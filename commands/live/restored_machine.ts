/**
 * A machine from a saved state: a stream on stdin or in a file, or a folder that one was unpacked into.
 *
 * @module
 */
import { DocumentError, UsageError } from "../../ffi/errors.ts";
import type { Arrival } from "./arrival.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { keepStdin } from "../../ffi/standard_streams.ts";
import type { Json } from "../../ffi/struct.ts";
import { type DeviceEntry, parseDocument, type VmDocument } from "../../vmm/document.ts";
import type { Machine } from "../../vmm/machine.ts";
import { DescriptorSource } from "../../vmm/state/descriptor_stream.ts";
import { DiskFiles } from "../../vmm/state/disk_files.ts";
import { loadFolder } from "../../vmm/state/load_folder.ts";
import { loadLazily, loadStreams, type StreamSource } from "../../vmm/state/load_stream.ts";
import type { LoadOptions } from "../../vmm/state/stream_loading.ts";
import type { Meter } from "../progress/meter.ts";
import { meteredSource } from "../progress/metered.ts";
import { ChunkSource } from "./chunk_source.ts";
import type { DeviceChange } from "./device_change.ts";
import { RunDirectory } from "./run_directory.ts";
import { readWorkingSet, writeWorkingSet } from "./working_set.ts";

/** A saved state, and how its VM goes on; plain data. */
export interface RestoreOrder {
  /** A stream's file, or a folder; stdin if left out. */
  readonly path?: string;
  /** Files of streams with what has changed since, each since the one before. */
  readonly diffs?: readonly string[];
  /** The VM's new name. */
  readonly name?: string;
  /** What differs on this host. */
  readonly changes: readonly DeviceChange[];
  readonly edited: boolean;
  readonly force: boolean;
  readonly clockStopped: boolean;
  /** The VM runs while its memory comes. Default false. */
  readonly lazy?: boolean;
  /** The file of what it asks for first, when it is lazy. */
  readonly workingSet?: string;
  /** The folder for disks that are in the state. */
  readonly disks?: string;
}

/** Where a saved state comes from, and who is told how far it has come. */
export interface RestoreFrom {
  /** A stream that is not on the process's stdin. */
  readonly bytes?: AsyncIterable<Uint8Array> | undefined;
  /** Where a stream comes from whose VM still runs. */
  readonly arrival?: Arrival | undefined;
  /** Counts the bytes that are read. */
  readonly meter?: Meter;
}

const STDIN = 0;
/** What names files in a device's entry. */
const PATHS: ReadonlySet<string> = new Set(["path", "overlay", "nbd"]);

/**
 * Makes a machine from a saved state.
 *
 * @param order Which, and how
 * @param from What else is known of where it comes from
 * @returns The machine, not started
 * @throws {DocumentError} Naming what is wrong with it
 */
export async function restoredMachine(
  order: RestoreOrder,
  { bytes, arrival, meter }: RestoreFrom = {},
): Promise<Machine> {
  const { path, edited, force, clockStopped } = order;
  using disks = order.disks === undefined ? undefined : new DiskFiles(order.disks, { force });
  const options: LoadOptions = {
    ...(disks === undefined ? {} : { disks }),
    ...{ edited, force, clockStopped, moved: arrival !== undefined },
    named: namedDevices(order),
    ...(arrival === undefined ? {} : {
      made: (machine) => arrival.made(machine),
      moving: (record) => arrival.moving(record),
    }),
    change(document) {
      const own = changed(document, order);
      // A stream's writer may have the name until it ends; a file's has not.
      if (path !== undefined && own.name !== undefined) new RunDirectory(own.name).requireFree();
      return own;
    },
    changeDevice: (name, record) => changedRecord(name, record, order),
  };
  using files = new DisposableStack();
  const metered = (source: StreamSource) =>
    meter === undefined ? source : meteredSource(source, meter);
  const open = (path: string) => {
    const fd = openFile(path, OpenFlag.RDONLY);
    files.defer(() => closeFile(fd));
    return metered(new DescriptorSource(fd, path));
  };
  const file = path === undefined ? undefined : open(path);
  const isFolder = path !== undefined && Deno.statSync(path).isDirectory;
  // A folder's memory is mapped, and so comes when it is touched, whatever is asked for.
  if (order.lazy === true && !isFolder) return await lazyMachine(order, options);
  const changes = (order.diffs ?? []).map(open);
  if (file === undefined) {
    const source = bytes === undefined
      ? new DescriptorSource(STDIN, "stdin")
      : new ChunkSource(bytes);
    return await loadStreams([metered(source), ...changes], options);
  }
  if (!isFolder) return await loadStreams([file, ...changes], options);
  if (changes.length === 0) return await loadFolder(path!, options);
  throw new DocumentError(`${path} is a folder, which takes no --diff`, {
    hint: "unpack the changes over it: tar x -C FOLDER",
  });
}

async function lazyMachine(
  { path, edited, workingSet }: RestoreOrder,
  options: LoadOptions,
): Promise<Machine> {
  const set = workingSet === undefined ? undefined : readWorkingSet(workingSet);
  const fd = path === undefined ? keepStdin() : openFile(path, OpenFlag.RDONLY);
  if (set !== undefined && !Deno.statSync(`/proc/self/fd/${fd}`).isFile) {
    closeFile(fd);
    throw new UsageError("--working-set is of a state in a file: a pipe comes in its own order");
  }
  return await loadLazily(
    { fd, path: path ?? "stdin", edited, ...(set === undefined ? {} : { workingSet: set }) },
    options,
    (names, machine) => writeWorkingSet(workingSet!, names, machine),
  );
}

/**
 * Devices whose files somebody has named for this host.
 *
 * @param order What differs
 */
export function namedDevices({ changes }: RestoreOrder): ReadonlySet<string> {
  return new Set(changes.filter(([, key]) => PATHS.has(key)).map(([device]) => device));
}

/**
 * The document with what differs.
 *
 * @param document As it was saved
 * @param order What differs
 * @throws {DocumentError} If that makes no sense for it
 */
export function changed(document: VmDocument, { name, changes }: RestoreOrder): VmDocument {
  const devices = (document.devices ?? []).map((entry) => withChanges(entry, changes));
  for (const [device, key] of changes) {
    if (devices.some((entry) => entry.name === device)) continue;
    throw new DocumentError(`There is no device ${device} whose ${key} could be set`, {
      hint: `there are ${devices.map((entry) => entry.name).join(" ") || "none"}`,
    });
  }
  return parseDocument(
    { ...document, devices, ...(name === undefined ? {} : { name }) },
    "vm.json",
  );
}

function withChanges(entry: DeviceEntry, changes: readonly DeviceChange[]): DeviceEntry {
  const own = changes.filter(([device]) => device === entry.name);
  return { ...entry, ...Object.fromEntries(own.map(([, key, value]) => [key, value])) };
}

/** What a device keeps of its configuration in its registers changes with that: a MAC. */
function changedRecord(
  name: string,
  record: Readonly<Record<string, Json>>,
  { changes }: RestoreOrder,
): Record<string, Json> {
  const state = record.state as Record<string, Json> | undefined;
  const own = changes.filter(([device, key]) =>
    device === name && typeof state === "object" && state !== null && Object.hasOwn(state, key)
  );
  if (own.length === 0) return { ...record };
  return {
    ...record,
    state: { ...state, ...Object.fromEntries(own.map(([, key, value]) => [key, value])) },
  };
}
