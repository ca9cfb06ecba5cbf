/**
 * A live VM's state as a folder of records, whose memory is a file a region: `hvsh restore` maps these,
 * and reads of them what the guest touches.
 *
 * @module
 */
import { dirname } from "node:path";
import { HostError } from "../../ffi/errors.ts";
import { writeAt } from "../../ffi/files.ts";
import { check, libc } from "../../ffi/libc.ts";
import { NamelessFile } from "../../ffi/nameless_file.ts";
import { isZero } from "../../vmm/state/zeros.ts";
import { hostErrno } from "../host_errno.ts";
import { type StandingVm, withDisks } from "./snapshot_stream.ts";

/**
 * Writes a folder's files, and once they are whole and on the disk, puts the folder to its place.
 *
 * @param path Its place, where nothing is yet
 * @param vm The VM
 * @throws {HostError} If it can't be written, or something is there; nothing is left behind
 */
export function writeFolder(
  path: string,
  { state, memory, disks = [] }: StandingVm,
): void {
  using files = new FolderFiles(`${path}.${Deno.pid}.new`);
  try {
    for (const [name, value] of [...withDisks(state.machine, disks), ...state.state]) {
      files.write(
        name,
        (fd) => writeAt(fd, encoder.encode(JSON.stringify(value, undefined, 1)), 0),
      );
    }
    for (const region of state.regions) {
      if (region.shared !== undefined) continue;
      files.write(`mem/${region.name}`, (fd, path) => {
        check(libc.ftruncate(fd, BigInt(region.size)), "ftruncate", { path });
        for (const { offset, bytes } of memory.pieces(region)) {
          if (!isZero(bytes)) writeAt(fd, bytes as Uint8Array<ArrayBuffer>, offset);
        }
      });
    }
    for (const disk of disks) {
      files.write(`disk/${disk.name}`, (fd, path) => {
        check(libc.ftruncate(fd, BigInt(disk.size)), "ftruncate", { path });
        for (const { offset, bytes } of disk.pieces()) writeAt(fd, bytes, offset);
      });
    }
    files.place(path);
  } catch (error) {
    const code = error instanceof HostError ? undefined : hostErrno(error);
    throw code === undefined ? error : new HostError("rename", code, { path, cause: error });
  }
}

const encoder = new TextEncoder();

/** The files of a folder that is not there before all of them are whole. */
class FolderFiles implements Disposable {
  readonly #folder: string;
  readonly #files: NamelessFile[] = [];
  #placed = false;

  /** @param folder Where it is put together */
  constructor(folder: string) {
    this.#folder = folder;
  }

  write(name: string, write: (fd: number, path: string) => void): void {
    const file = new NamelessFile(`${this.#folder}/${name}`, dirname(this.#folder));
    this.#files.push(file);
    write(file.fd, file.path);
    check(libc.fsync(file.fd), "fsync", { path: file.path });
  }

  /** Makes the folder; one with memory has a place for it, also where all of that is shared. */
  place(path: string): void {
    Deno.mkdirSync(`${this.#folder}/mem`, { recursive: true, mode: 0o700 });
    for (const file of this.#files) {
      Deno.mkdirSync(dirname(file.path), { recursive: true });
      file.name();
    }
    Deno.renameSync(this.#folder, path);
    this.#placed = true;
  }

  [Symbol.dispose](): void {
    for (const file of this.#files) file[Symbol.dispose]();
    if (!this.#placed) removeIfThere(this.#folder);
  }
}

function removeIfThere(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
