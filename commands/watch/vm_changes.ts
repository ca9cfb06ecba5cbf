/**
 * Tells when a live VM has come, gone or got another state: each owner keeps that in its VM's folder, which
 * the kernel watches (inotify(7)), so that nobody has to be asked.
 *
 * @module
 */
import { basename, dirname } from "node:path";
import { runRoot } from "../live/run_directory.ts";

/** The files of a VM's folder whose changes are told. */
const TOLD: ReadonlySet<string> = new Set(["status", "exit"]);

/** Watches until it is disposed. */
export class VmChanges implements Disposable {
  readonly #watcher: Deno.FsWatcher | undefined;

  /** @param changed Called when there is something new */
  constructor(changed: () => void) {
    const root = runRoot();
    try {
      this.#watcher = Deno.watchFs(root, { recursive: true });
    } catch {
      return; // there has never been a VM, or there are too many watches: who looks again sees it too
    }
    this.#tell(root, changed);
  }

  async #tell(root: string, changed: () => void): Promise<void> {
    for await (const { kind, paths } of this.#watcher!) {
      if (kind === "access") continue;
      if (paths.some((path) => dirname(path) === root || TOLD.has(basename(path)))) changed();
    }
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}
