/**
 * A file that takes its place once it is whole, and gives it back unless it is to stay.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { check, libc } from "../../ffi/libc.ts";
import { exchangeFiles, NamelessFile, renameFile } from "../../ffi/nameless_file.ts";

/** A file that is written. */
export class NewFile implements Disposable {
  readonly #path: string;
  readonly #file: NamelessFile;
  /** Where it is, once it has a name. */
  #at: string | undefined;
  /** Where that is which had its place before. */
  #old: string | undefined;
  #kept = false;

  /**
   * @param path Its place
   * @throws {HostError} If it can't be made
   */
  constructor(path: string) {
    this.#path = path;
    this.#file = new NamelessFile(`${path}.${Deno.pid}.new`);
  }

  /** Its descriptor, to read and write it. */
  get fd(): number {
    return this.#file.fd;
  }

  /**
   * Puts it to its place. What was there is set aside until it is known whether this one stays.
   *
   * @throws {HostError} If it can't be
   */
  place(): void {
    const path = this.#path;
    check(libc.fsync(this.fd), "fsync", { path });
    this.#file.name();
    const beside = this.#at = this.#file.path;
    const there = kindAt(path);
    if (there === "folder") throw new HostError("rename", Errno.EISDIR, { path });
    if (there === undefined) renameFile(beside, path);
    else if (exchangeFiles(beside, path)) this.#old = beside;
    else {
      const aside = `${path}.${Deno.pid}.old`;
      renameFile(path, aside);
      this.#old = aside;
      renameFile(beside, path);
    }
    this.#at = path;
  }

  /** It stays where it was put. */
  keep(): void {
    this.#kept = true;
  }

  /** Closes it; unless it is to stay, its place is as it was before. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
    if (this.#kept) {
      if (this.#old !== undefined) Deno.removeSync(this.#old);
      return;
    }
    const under = this.#old !== undefined && this.#at === this.#path;
    if (this.#at !== undefined && !under) Deno.removeSync(this.#at);
    if (this.#old !== undefined) renameFile(this.#old, this.#path);
  }
}

/** What a path names itself, without a link being followed. */
function kindAt(path: string): "folder" | "file" | undefined {
  try {
    return Deno.lstatSync(path).isDirectory ? "folder" : "file";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
