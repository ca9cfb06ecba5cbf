/**
 * Files for the disks that a stream has inside: written as they come, put to their places once the stream has
 * proved whole, and taken away again, with what was there put back, if no machine comes of it.
 *
 * @module
 */
import { DocumentError, HostError, VmError } from "../../ffi/errors.ts";
import { writeAt } from "../../ffi/files.ts";
import { check, libc } from "../../ffi/libc.ts";
import type { DeviceEntry, VmDocument } from "../document.ts";
import type { DiskPiece, SavedDisk } from "./disk_content.ts";
import { NewFile } from "./new_file.ts";
import { parseDiskName } from "./record_names.ts";

/** A file that is being written. */
interface DiskFile extends SavedDisk {
  readonly path: string;
  readonly file: NewFile;
}

/** The files of one machine's disks. */
export class DiskFiles implements Disposable {
  readonly #folder: string;
  readonly #force: boolean;
  readonly #files = new Map<string, DiskFile>();
  readonly #undo = new DisposableStack();
  #kept = false;

  /**
   * @param folder Where they are to be, as NAME.img; made if it is not there
   * @param options `force` takes the place of files that are there
   */
  constructor(folder: string, { force = false }: { readonly force?: boolean } = {}) {
    this.#folder = folder;
    this.#force = force;
  }

  /** The disks that are written. */
  get names(): ReadonlySet<string> {
    return new Set(this.#files.keys());
  }

  /**
   * Makes the files, empty.
   *
   * @param disks What the stream has inside
   * @param document The machine's document
   * @returns The document with the files in the place of what the disks were
   * @throws {VmError} If a file is there
   * @throws {HostError} If they can't be made
   */
  begin(disks: readonly SavedDisk[], document: VmDocument): VmDocument {
    this.#makeFolder();
    for (const { name, size } of disks) {
      const path = `${this.#folder}/${name}.img`;
      if (!this.#force && isThere(path)) {
        throw new VmError(`${name}: ${path} is there already`, {
          hint: "another --disks folder; --force puts the disk in its place",
        });
      }
      const file = this.#undo.use(new NewFile(path));
      this.#files.set(name, { name, size, path, file });
      check(libc.ftruncate(file.fd, BigInt(size)), "ftruncate", { path });
    }
    return { ...document, devices: (document.devices ?? []).map((entry) => this.#own(entry)) };
  }

  #own(entry: DeviceEntry): DeviceEntry {
    const file = this.#files.get(entry.name ?? "");
    if (file === undefined) return entry;
    const { overlay: _, ...others } = entry;
    return { ...others, path: file.path };
  }

  /**
   * Takes a record.
   *
   * @param record Its name
   * @param bytes What it says
   * @throws {DocumentError} If there is no such place
   * @throws {HostError} If there is no room for it
   */
  record(record: string, bytes: Uint8Array<ArrayBuffer>): void {
    const place = parseDiskName(record);
    const file = this.#files.get(place?.disk ?? "");
    if (file === undefined) return; // of a disk that somebody has named another file for
    const { offset } = place!;
    if (offset + bytes.length > file.size) {
      throw new DocumentError(`${record} has ${bytes.length} bytes, past the end of ${file.name}`);
    }
    this.write(file.name, { offset, bytes });
  }

  /**
   * Writes a piece of a disk.
   *
   * @param disk Its name
   * @param piece The piece
   * @throws {HostError} If there is no room for it
   */
  write(disk: string, { offset, bytes }: DiskPiece): void {
    const { file, path } = this.#files.get(disk)!;
    try {
      writeAt(file.fd, bytes, offset);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      throw new HostError(error.syscall, error.errno, { path, cause: error });
    }
  }

  /**
   * Puts the files to their places: all has come. What was there comes back unless they are kept.
   *
   * @throws {HostError} If they can't be
   */
  place(): void {
    for (const { file } of this.#files.values()) file.place();
  }

  #makeFolder(): void {
    try {
      Deno.mkdirSync(this.#folder);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return;
      throw error;
    }
    this.#undo.defer(() => {
      if (!this.#kept) Deno.removeSync(this.#folder);
    });
  }

  /** The machine is made: the files stay. */
  keep(): void {
    for (const { file } of this.#files.values()) file.keep();
    this.#kept = true;
  }

  /** Closes the files; unless they are to stay, all is as it was before. */
  [Symbol.dispose](): void {
    this.#undo.dispose();
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
