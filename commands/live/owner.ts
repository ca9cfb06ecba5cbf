/**
 * The process that owns a VM: its run directory, its control socket, and the words it obeys.
 *
 * @module
 */
import { type StopDetails, stopDetails } from "../../vmm/debug/debug_stop.ts";
import { ExitStatus, type VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";
import { peersAt } from "../../ffi/peer_credentials.ts";
import type { ConsoleTap } from "./console_tap.ts";
import type { EventLog } from "./event_log.ts";
import { type FindMethod, serve, type ServedClient } from "./json_rpc.ts";
import { methodFinder, type OwnedVm } from "./methods.ts";
import { type Claim, RunDirectory } from "./run_directory.ts";
import { StatusFile } from "./status_file.ts";
import { whileThere } from "./while_there.ts";

/** How a VM is shown to others; `live` is its name. */
export interface Handle extends StopDetails {
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
  /** What went wrong in hvsh itself. */
  readonly message?: string;
}

/** What others may watch of a VM. */
export interface Watched {
  readonly console: ConsoleTap;
  readonly events: EventLog;
  /** Whether a terminal of this process has the console. */
  readonly foreground: boolean;
}

/** How long the last answers may take to be read. */
const LAST_ANSWERS_MILLISECONDS = 500;
/** The user that may do everything anyway. */
const ROOT = 0;
/** How long to leave a listener alone that could not accept. */
const ACCEPT_AGAIN_MILLISECONDS = 50;

/** A VM that others can reach. */
export class Owner implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #claim: Claim;
  readonly #listener: Deno.UnixListener;
  readonly #name: string;
  readonly #watched: Watched;
  readonly #started = Date.now();
  readonly #clients = new Set<ServedClient>();
  #waiters = 0;
  #closed = false;

  /**
   * Takes the name and opens the control socket, at which clients wait until {@linkcode serve} is called.
   *
   * @param machine The VM
   * @param name Its name
   * @param watched What others may watch of it
   * @throws {VmError} If a live VM has the name
   */
  constructor(machine: Machine, name: string, watched: Watched) {
    this.#machine = machine;
    this.#watched = watched;
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
    const status = new StatusFile(directory);
    status.write(this.handle);
    machine.listen((device) => {
      if (device === "") status.write(this.handle);
    });
  }

  /** What others see. */
  get handle(): Handle {
    const { state, pausedBy } = this.#machine;
    return { live: this.#name, pid: Deno.pid, state, ...stopDetails(pausedBy) };
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
    this.#leave(this.#record(end));
  }

  /**
   * The same for a VM that hvsh failed to run to its end.
   *
   * @param error What went wrong
   */
  fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#leave({
      live: this.#name,
      state: "ended",
      reason: "failed",
      status: ExitStatus.FAILED,
      message,
    });
  }

  #leave(record: ExitRecord): void {
    if (this.#waiters > 0) return this.#vanish();
    const path = this.directory.exit;
    try {
      // Written beside and renamed: a reader sees all of it or nothing.
      Deno.writeTextFileSync(`${path}.new`, JSON.stringify(record) + "\n");
      Deno.renameSync(`${path}.new`, path);
    } catch {
      return this.#vanish(); // a full disk has no room for the word, but the name is free
    }
    this.#close();
    this.#claim.release();
  }

  /**
   * Gives the name back, and leaves nothing but the word of {@linkcode leave}; gives clients their last
   * answers, and lets them go: by then the name is free.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#vanish();
    if (this.#clients.size === 0) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, LAST_ANSWERS_MILLISECONDS);
    const answered = Promise.all([...this.#clients].map((client) => client.answered()));
    await Promise.race([answered, late.promise]);
    clearTimeout(timer);
    for (const client of this.#clients) client.close();
  }

  #vanish(): void {
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

  /** Answers clients from now on. */
  serve(): void {
    this.#accept();
  }

  async #accept(): Promise<void> {
    const vm: OwnedVm = {
      machine: this.#machine,
      name: this.#name,
      directory: this.directory,
      started: this.#started,
      ...this.#watched,
      handle: () => this.handle,
      record: (end) => this.#record(end),
      exit: async (gone) => {
        const ended = whileThere(this.#machine.ended, gone);
        if (!gone.aborted) {
          this.#waiters++;
          gone.addEventListener("abort", () => this.#waiters--);
        }
        return this.#record(await ended);
      },
    };
    const find = methodFinder(vm);
    while (!this.#closed) {
      try {
        this.#answer(await this.#listener.accept(), find);
      } catch {
        if (this.#closed) return;
        // Out of descriptors: the VM goes on, and clients that leave give some back.
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN_MILLISECONDS));
      }
    }
  }

  #answer(connection: Deno.UnixConn, find: FindMethod): void {
    if (!this.#mayAsk()) return connection.close();
    const client = serve(connection, find);
    this.#clients.add(client);
    client.gone.then(() => this.#clients.delete(client));
  }

  /** The folder's mode keeps others out; this does so too where somebody was handed the socket. */
  #mayAsk(): boolean {
    try {
      const users = peersAt(this.directory.control);
      return users.length > 0 && users.every((uid) => uid === Deno.uid() || uid === ROOT);
    } catch {
      return false; // without /proc, or a descriptor to read it, nobody knows who it is
    }
  }
}

/**
 * Reads the word that a detached VM left of its end, and leaves it there.
 *
 * @param directory The VM's folder
 * @returns How it ended
 * @throws {Deno.errors.NotFound} If there is no word of it
 */
export function exitRecord(directory: RunDirectory): ExitRecord {
  return JSON.parse(Deno.readTextFileSync(directory.exit)) as ExitRecord;
}

/**
 * Takes the word that a detached VM left of its end; a second time there is none.
 *
 * @param directory The VM's folder
 * @returns How it ended; undefined if there is no word of it
 */
export function takeExit(directory: RunDirectory): ExitRecord | undefined {
  const text = directory.takeExit();
  return text === undefined ? undefined : JSON.parse(text) as ExitRecord;
}
