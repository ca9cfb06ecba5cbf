/**
 * The first file system of a guest that runs one command: its first process, and modules.
 *
 * @module
 */
import { closeFile, writeAt } from "../../ffi/files.ts";
import { createMemfd } from "../../ffi/mapping.ts";
import type { Bytes } from "../../vmm/boot/byte_sequence.ts";
import { cpio } from "../../vmm/boot/cpio.ts";
import type { KernelModule } from "../../vmm/boot/guest_init/kernel_modules.ts";
import { NEW_ROOT } from "../../vmm/boot/guest_init/mount_rows.ts";

/** Where the kernel finds the first process. */
export const INIT_PATH = "/hvsh/init";
const MODULES = "/hvsh/modules";

/** Where a module lies there. */
export function modulePath({ name }: KernelModule): string {
  return `${MODULES}/${name}.ko`;
}

/**
 * Packs the archive.
 *
 * @param init The first process
 * @param modules The modules
 * @returns A cpio archive
 */
export function firstFiles(init: Bytes, modules: readonly KernelModule[]): Bytes {
  const folders = ["/dev", "/hvsh", MODULES, NEW_ROOT];
  return cpio([
    ...folders.map((path) => ({ path: path.slice(1), type: "directory" } as const)),
    // The kernel opens it for its first process's stdin, stdout and stderr.
    { path: "dev/console", type: "device", major: 5, minor: 1 },
    { path: INIT_PATH.slice(1), type: "file", data: init, mode: 0o755 },
    ...modules.map((module) =>
      ({ path: modulePath(module).slice(1), type: "file", data: module.data }) as const
    ),
  ]);
}

/** A file of this process's memory, which others find by its path while it is there. */
export class MemoryFile implements Disposable {
  readonly #fd: number;

  /**
   * @param name What /proc/PID/fd shows
   * @param bytes What is in it
   * @throws {HostError} If there is not that much memory
   */
  constructor(name: string, bytes: Bytes) {
    this.#fd = createMemfd(name, bytes.length);
    try {
      writeAt(this.#fd, bytes, 0);
    } catch (error) {
      closeFile(this.#fd);
      throw error;
    }
  }

  /** Its path. */
  get path(): string {
    return `/proc/${Deno.pid}/fd/${this.#fd}`;
  }

  [Symbol.dispose](): void {
    closeFile(this.#fd);
  }
}
