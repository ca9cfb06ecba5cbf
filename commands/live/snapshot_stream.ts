/**
 * A live VM as a stream: into a pipe, or a file that bears its name only once it is whole.
 *
 * @module
 */
import { HostError } from "../../ffi/errors.ts";
import { hostErrno } from "../host_errno.ts";
import { DescriptorSink } from "../../vmm/state/descriptor_stream.ts";
import { writeChanges, writeMemory, writeRecords } from "../../vmm/state/save_stream.ts";
import { type StreamSink, StreamWriter } from "../../vmm/state/stream_writer.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { check, libc } from "../../ffi/libc.ts";
import type { HeldVm } from "./held_vm.ts";

/**
 * Writes a VM's state.
 *
 * @param held The VM
 * @param sink Where to
 * @param last What to do when all but the end has been written
 */
export async function writeSnapshot(
  { state, memory }: HeldVm,
  sink: StreamSink,
  last?: () => Promise<void>,
): Promise<void> {
  const writer = new StreamWriter(sink);
  await writeRecords(writer, state.machine);
  if (state.dirty === undefined) await writeMemory(writer, state.regions, memory);
  else {
    const dirty = state.dirty.map((bits) => Uint8Array.fromBase64(bits));
    await writeChanges(writer, state.regions, memory, dirty);
  }
  await writeRecords(writer, state.state);
  if (last !== undefined) {
    await writer.flush();
    await last();
  }
  await writer.end();
}

/**
 * Writes a file beside its place, and puts it there once it is whole and on the disk.
 *
 * @param path Its place
 * @param write Writes it
 * @throws {HostError} If it can't be written; what was at its place is still there
 */
export async function writeBeside(
  path: string,
  write: (sink: StreamSink) => Promise<void>,
): Promise<void> {
  const beside = `${path}.${Deno.pid}.new`;
  const fd = openFile(beside, OpenFlag.WRONLY | OpenFlag.CREAT | OpenFlag.EXCL, 0o600);
  try {
    try {
      await write(new DescriptorSink(fd, path));
      check(libc.fsync(fd), "fsync", { path });
    } finally {
      closeFile(fd);
    }
    Deno.renameSync(beside, path);
  } catch (error) {
    Deno.removeSync(beside);
    const code = error instanceof HostError ? undefined : hostErrno(error);
    throw code === undefined ? error : new HostError("rename", code, { path, cause: error });
  }
}
