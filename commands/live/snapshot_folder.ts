/**
 * A live VM's state as a folder of records, whose memory is a file a region: `hvsh restore` maps these,
 * and reads of them what the guest touches.
 *
 * @module
 */
import { dirname } from "node:path";
import { HostError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag, writeAt } from "../../ffi/files.ts";
import { check, libc } from "../../ffi/libc.ts";
import type { Records } from "../../vmm/state/save_stream.ts";
import { isZero } from "../../vmm/state/zeros.ts";
import { hostErrno } from "../host_errno.ts";
import { type StandingVm, withDisks } from "./snapshot_stream.ts";

/**
 * Writes a folder beside its place, and puts it there once it is whole and on the disk.
 *
 * @param path Its place, where nothing is yet
 * @param vm The VM
 * @throws {HostError} If it can't be written, or something is there; nothing is left behind
 */
export async function writeFolder(
  path: string,
  { state, memory, disks = [] }: StandingVm,
): Promise<void> {
  const beside = `${path}.${Deno.pid}.new`;
  try {
    Deno.mkdirSync(beside, { mode: 0o700 });
    writeRecords(beside, [...withDisks(state.machine, disks), ...state.state]);
    Deno.mkdirSync(`${beside}/mem`);
    for (const region of state.regions) {
      if (region.shared !== undefined) continue;
      writeFile(`${beside}/mem/${region.name}`, (fd, path) => {
        check(libc.ftruncate(fd, BigInt(region.size)), "ftruncate", { path });
        for (const { offset, bytes } of memory.pieces(region)) {
          if (!isZero(bytes)) writeAt(fd, bytes as Uint8Array<ArrayBuffer>, offset);
        }
      });
    }
    if (disks.length > 0) Deno.mkdirSync(`${beside}/disk`);
    for (const disk of disks) {
      writeFile(`${beside}/disk/${disk.name}`, (fd, path) => {
        check(libc.ftruncate(fd, BigInt(disk.size)), "ftruncate", { path });
        for (const { offset, bytes } of disk.pieces()) writeAt(fd, bytes, offset);
      });
    }
    await Deno.rename(beside, path);
  } catch (error) {
    Deno.removeSync(beside, { recursive: true });
    const code = error instanceof HostError ? undefined : hostErrno(error);
    throw code === undefined ? error : new HostError("rename", code, { path, cause: error });
  }
}

const encoder = new TextEncoder();

function writeRecords(folder: string, records: Records): void {
  for (const [name, value] of records) {
    const path = `${folder}/${name}`;
    Deno.mkdirSync(dirname(path), { recursive: true });
    writeFile(path, (fd) => writeAt(fd, encoder.encode(JSON.stringify(value, undefined, 1)), 0));
  }
}

function writeFile(path: string, write: (fd: number, path: string) => void): void {
  const fd = openFile(path, OpenFlag.WRONLY | OpenFlag.CREAT | OpenFlag.EXCL, 0o600);
  try {
    write(fd, path);
    check(libc.fsync(fd), "fsync", { path });
  } finally {
    closeFile(fd);
  }
}
