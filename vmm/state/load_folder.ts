/**
 * A machine from a folder that a stream was unpacked into. Memory that is one file a region, `mem/ram0`,
 * is mapped, whatever its size, and read when it is touched; memory in records, `mem/ram0/0x…`, is read.
 *
 * @module
 */
import { DocumentError, HostError } from "../../ffi/errors.ts";
import { Errno } from "../../ffi/errno.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import type { Machine } from "../machine.ts";
import { DescriptorSource } from "./descriptor_stream.ts";
import { DiskContent } from "./disk_content.ts";
import type { DiskFiles } from "./disk_files.ts";
import { type LoadOptions, StreamLoading } from "./stream_loading.ts";
import type { RegionFile } from "./regions.ts";

const MEMORY = "mem";
const DISKS = "disk";
/** Folders of records beside memory. */
const RECORDS = ["", "cpu/", "dev/"];

/**
 * Makes a machine from a folder. Its records are taken as they are: who unpacks them may edit them.
 *
 * @param path The folder
 * @param options How
 * @returns The machine, not started; files that it has mapped must stay as they are
 * @throws {DocumentError} Naming the record at fault
 * @throws {HostError} If a file can't be read
 */
export async function loadFolder(path: string, options: LoadOptions): Promise<Machine> {
  const files = new Map<string, RegionFile>();
  const pieces: string[] = [];
  try {
    for (const { name, isFile, isSymlink } of entries(`${path}/${MEMORY}`)) {
      const place = `${MEMORY}/${name}`;
      // Whoever packed the folder may not choose what of this host the guest reads.
      if (isSymlink) throw new DocumentError(`${path}/${place} is a symbolic link`);
      if (isFile) files.set(name, openRegion(`${path}/${place}`));
      else pieces.push(...plainFiles(`${path}/${place}`).map((piece) => `${place}/${piece}`));
    }
    await using loading = new StreamLoading({ ...options, files });
    const names = folderRecords(path);
    const first = ["vm.json", "fw_cfg.json"].filter((name) => names.includes(name));
    if (first[0] !== "vm.json") throw new DocumentError(`${path} has no vm.json`);
    for (const name of first) loading.record(name, Deno.readFileSync(`${path}/${name}`));
    await loading.prepare();
    for (const name of pieces) readPiece(`${path}/${name}`, (size) => loading.memory(name, size));
    for (const name of names) {
      if (first.includes(name)) continue;
      loading.record(name, Deno.readFileSync(`${path}/${name}`));
    }
    if (options.disks !== undefined) readDisks(path, options.disks, loading);
    return await loading.finish();
  } finally {
    for (const { fd } of files.values()) closeFile(fd); // what is mapped stays
  }
}

/**
 * The names of a folder's records, but for memory's.
 *
 * @param path The folder
 */
export function folderRecords(path: string): string[] {
  return RECORDS.flatMap((folder) =>
    plainFiles(`${path}/${folder}`).filter((name) => name.endsWith(".json"))
      .map((name) => folder + name)
  );
}

function openRegion(path: string): RegionFile {
  const fd = openFile(path, OpenFlag.RDONLY);
  return { fd, offset: 0, size: Deno.statSync(path).size };
}

/** Copies disks, each a file or records in a folder, to where they are to be. */
function readDisks(path: string, disks: DiskFiles, loading: StreamLoading): void {
  for (const { name, isFile } of entries(`${path}/${DISKS}`)) {
    const place = `${DISKS}/${name}`;
    if (isFile && disks.names.has(name)) {
      using content = new DiskContent({ type: "disk", name, path: `${path}/${place}` });
      for (const piece of content.pieces()) disks.write(name, piece);
    }
    if (isFile) continue;
    for (const piece of plainFiles(`${path}/${place}`)) {
      loading.record(`${place}/${piece}`, Deno.readFileSync(`${path}/${place}/${piece}`));
    }
  }
}

/** Reads a file into its place in memory. */
function readPiece(path: string, placeFor: (size: number) => Uint8Array): void {
  const place = placeFor(Deno.statSync(path).size);
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    const source = new DescriptorSource(fd, path);
    for (let done = 0; done < place.length;) {
      const count = source.read(place.subarray(done));
      if (count === 0) throw new DocumentError(`${path} has become shorter`);
      done += count;
    }
  } finally {
    closeFile(fd);
  }
}

function plainFiles(folder: string): string[] {
  return entries(folder).filter(({ isFile }) => isFile).map(({ name }) => name);
}

function entries(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new HostError("open", Errno.EACCES, { path: folder, cause: error });
    }
    throw error;
  }
}
