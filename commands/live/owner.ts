/**
 * The process that owns a VM: its run directory, its control socket, and the words it obeys.
 *
 * @module
 */
import type { VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";
import { serve } from "./json_rpc.ts";
import { methodFinder, type OwnedVm } from "./methods.ts";
import { type Claim, RunDirectory } from "./run_directory.ts";

/** How a VM is shown to others; `live` is its name. */
export interface Handle {
  readonly live: string;
  readonly pid: number;
  readonly state: string;
}

/** How a VM ended, as `wait` prints it. */
export interface ExitRecord {
  readonly live: string;
  readonly state: "ended";
  readonly reason: string;
  readonly status: number;
}

/** How long to leave a listener alone that could not accept. */
const ACCEPT_AGAIN_MILLISECONDS = 50;

/** A VM that others can reach. */
export class Owner implements Disposable {
  readonly #machine: Machine;
  readonly #claim: Claim;
  readonly #listener: Deno.UnixListener;
  readonly #name: string;
  #waitedFor = false;
  #closed = false;

  /**
   * Takes the name and opens the control socket.
   *
   * @param machine The VM
   * @param name Its name
   * @throws {VmError} If a live VM has the name
   */
  constructor(machine: Machine, name: string) {
    this.#machine = machine;
    this.#name = name;
    this.#claim = new RunDirectory(name).claim();
    const { directory } = this.#claim;
    try {
      Deno.writeTextFileSync(directory.config, JSON.stringify(machine.document) + "\n", {
        mode: 0o600,
      });
      this.#listener = Deno.listen({ transport: "unix", path: directory.control });
    } catch (error) {
      this.#claim[Symbol.dispose]();
      throw error;
    }
    this.#accept();
  }

  /** What others see. */
  get handle(): Handle {
    return { live: this.#name, pid: Deno.pid, state: this.#machine.state };
  }

  /** Its folder. */
  get directory(): RunDirectory {
    return this.#claim.directory;
  }

  /**
   * Gives the name back and, if nobody has waited for the end, leaves word of it for a later `wait`.
   *
   * @param end How the VM ended
   */
  leave(end: VmEnd): void {
    if (this.#waitedFor) return this[Symbol.dispose]();
    const path = this.directory.exit;
    try {
      // Written beside and renamed: a reader sees all of it or nothing.
      Deno.writeTextFileSync(`${path}.new`, JSON.stringify(this.#record(end)) + "\n");
      Deno.renameSync(`${path}.new`, path);
    } catch {
      return this[Symbol.dispose](); // a full disk has no room for the word, but the name is free
    }
    this.#close();
    this.#claim.release();
  }

  /** Gives the name back and leaves nothing. */
  [Symbol.dispose](): void {
    this.#close();
    this.#claim[Symbol.dispose]();
  }

  #close(): void {
    this.#closed = true;
    this.#listener.close();
  }

  #record(end: VmEnd): ExitRecord {
    return { live: this.#name, state: "ended", reason: end.kind, status: end.status };
  }

  async #accept(): Promise<void> {
    const vm: OwnedVm = {
      machine: this.#machine,
      name: this.#name,
      directory: this.directory,
      handle: () => this.handle,
      record: (end) => this.#record(end),
      exit: async () => {
        this.#waitedFor = true;
        return this.#record(await this.#machine.ended);
      },
    };
    const find = methodFinder(vm);
    while (!this.#closed) {
      try {
        serve(await this.#listener.accept(), find);
      } catch {
        if (this.#closed) return;
        // Out of descriptors: the VM goes on, and clients that leave give some back.
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN_MILLISECONDS));
      }
    }
  }
}

/**
 * Takes the word that a detached VM left of its end; a second time there is none.
 *
 * @param directory The VM's folder
 * @returns How it ended; undefined if there is no word of it
 */
export function takeExit(directory: RunDirectory): ExitRecord | undefined {
  try {
    const record = JSON.parse(Deno.readTextFileSync(directory.exit)) as ExitRecord;
    directory.remove();
    return record;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
