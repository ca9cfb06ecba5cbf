/**
 * A machine that is a copy of another process's.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError, VmError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import type { Machine } from "../../vmm/machine.ts";
import { copyOf, type ForkOptions, ownIdentity } from "../../vmm/state/fork.ts";
import type { DeviceRecord } from "../../vmm/state/device_state.ts";
import { StreamLoading } from "../../vmm/state/stream_loading.ts";
import type { RegionFile } from "../../vmm/state/regions.ts";
import type { Records } from "../../vmm/state/save_stream.ts";
import type { ForkRecord } from "./methods/fork.ts";

/** A copy to be made; plain data. */
export interface ForkOrder extends ForkOptions {
  readonly from: ForkRecord;
}

/**
 * Makes a copy.
 *
 * @param order Of what, and what it has of its own
 * @returns The machine, not started
 * @throws {VmError} If the original has ended meanwhile
 */
export async function forkedMachine({ from, ...options }: ForkOrder): Promise<Machine> {
  const files = new Map<string, RegionFile>();
  try {
    for (const [region, file] of from.files) {
      files.set(region, { ...file, fd: openFileOf(from.pid, file.fd) });
    }
    await using loading = new StreamLoading({
      files,
      change: (document) => copyOf(document, options),
      changeDevice: (_name, record) => ownIdentity(record as DeviceRecord),
    });
    take(loading, from.machine);
    await loading.prepare();
    take(loading, from.state);
    return await loading.finish();
  } finally {
    for (const { fd } of files.values()) closeFile(fd); // what is mapped stays
  }
}

const encoder = new TextEncoder();

function take(loading: StreamLoading, records: Records): void {
  for (const [name, value] of records) {
    loading.record(name, encoder.encode(JSON.stringify(value)));
  }
}

function openFileOf(pid: number, fd: number): number {
  try {
    return openFile(`/proc/${pid}/fd/${fd}`, OpenFlag.RDONLY);
  } catch (error) {
    if (!(error instanceof HostError) || error.errno !== Errno.ENOENT) throw error;
    throw new VmError("The VM to be forked has ended meanwhile", { cause: error });
  }
}
