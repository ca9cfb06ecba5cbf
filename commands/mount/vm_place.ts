/**
 * One VM as the files of its folder see it. It may come, end and come again: nothing here outlives an
 * operation but the connection to an owner that lives.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError, HvshError } from "../../ffi/errors.ts";
import { hostErrno } from "../host_errno.ts";
import { call, VmGoneError } from "../live/json_rpc.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";
import { RpcConnection } from "../live/rpc_connection.ts";
import { RunDirectory } from "../live/run_directory.ts";
import type { Drafts } from "./drafts.ts";
import { type ErrorLog, type Fault, faultOf } from "./error_log.ts";
import { type Asker, FileError } from "./node.ts";
import type { MemoryOrder } from "./fuse_thread.ts";

/** What a mounted tree has besides its nodes. */
export interface TreeState {
  readonly errors: ErrorLog;
  readonly drafts: Drafts;
  /** Has the thread that reads requests answer those for a VM's memory. */
  orderMemory(order: MemoryOrder): void;
}

/** How a VM is: not started yet, or as it was told to be. */
export type PlaceState = "draft" | "live" | "ended";

/** How long an owner may take to answer; what takes longer by its nature says so. */
const MOST_SECONDS = 10;
/** Whom no signal interrupts. */
const NOBODY: Asker = { pid: 0, signal: new AbortController().signal };

/** A VM's folder. */
export class VmPlace {
  readonly name: string;
  readonly directory: RunDirectory;
  readonly tree: TreeState;
  #connection: Promise<RpcConnection> | undefined;
  /** What the owner behind a connection has said that stays as it is. */
  readonly #answers = new Map<string, Promise<unknown>>();
  #owner: RpcConnection | undefined;

  /**
   * @param tree The tree
   * @param name The VM's name
   * @throws {VmError} If it is no name
   */
  constructor(tree: TreeState, name: string) {
    this.tree = tree;
    this.name = name;
    this.directory = new RunDirectory(name);
  }

  /** How it is; undefined if there is none. */
  get state(): PlaceState | undefined {
    if (this.directory.sweep()) return "live";
    if (exists(this.directory.exit)) return "ended";
    return this.tree.drafts.has(this.name) ? "draft" : undefined;
  }

  /** Its owner's socket. */
  get control(): string {
    return this.directory.control;
  }

  /** Whether its owner lives. */
  get live(): boolean {
    return this.directory.live;
  }

  /**
   * Asks its owner, by a connection that is kept.
   *
   * @param method The method
   * @param params Its parameters
   * @param asker Who waits for it
   * @param seconds How long to wait
   * @returns Its result
   * @throws {VmGoneError} Without an owner
   * @throws {FileError} EINTR, ETIMEDOUT
   * @throws {VmError} What it refuses
   */
  async ask(
    method: string,
    params: Readonly<Record<string, unknown>>,
    asker: Asker,
    seconds: number = MOST_SECONDS,
  ): Promise<unknown> {
    const connection = await this.connection();
    return await this.bounded(connection.call(method, params), asker, seconds);
  }

  /** The same for what an interrupt is to end at the owner too, by a connection of its own. */
  async askAlone(
    method: string,
    params: Readonly<Record<string, unknown>>,
    asker: Asker,
    seconds: number,
  ): Promise<unknown> {
    const over = new AbortController();
    const asked = call(this.control, method, params, over.signal);
    try {
      return await this.bounded(asked, asker, seconds);
    } finally {
      over.abort();
    }
  }

  /** The connection to its owner. */
  async connection(): Promise<RpcConnection> {
    const known = await this.#connection?.catch(() => undefined);
    if (known !== undefined && !known.closed.aborted) return known;
    this.#connection = RpcConnection.open(this.control);
    return await this.#connection;
  }

  /** Where its memory lies, which stays for its owner's life; what debuggers put into it does not. */
  async memory(): Promise<MemoryRecord> {
    return await this.#kept("inspect.memory") as MemoryRecord;
  }

  /** What it is. */
  async description(): Promise<{ cpus: number }> {
    return await this.#kept("control.describe") as { cpus: number };
  }

  /** Its devices now. */
  async devices(): Promise<{ name: string; type: string }[]> {
    return await this.ask("device.list", {}, NOBODY) as { name: string; type: string }[];
  }

  async #kept(method: string): Promise<unknown> {
    const connection = await this.connection();
    if (this.#owner !== connection) this.#answers.clear();
    this.#owner = connection;
    const answer = this.#answers.get(method) ?? this.ask(method, {}, NOBODY);
    this.#answers.set(method, answer);
    try {
      return await answer;
    } catch (error) {
      this.#answers.delete(method);
      throw error;
    }
  }

  /** Closes the connection. */
  async disconnect(): Promise<void> {
    (await this.#connection?.catch(() => undefined))?.[Symbol.dispose]();
    this.#connection = undefined;
  }

  /**
   * Waits for something.
   *
   * @param work What
   * @param asker Who waits for it
   * @param seconds How long
   * @throws {FileError} EINTR, ETIMEDOUT
   */
  async bounded<T>(
    work: Promise<T>,
    { signal }: Asker,
    seconds: number = MOST_SECONDS,
  ): Promise<T> {
    const stopped = Promise.withResolvers<never>();
    const interrupted = () => stopped.reject(new FileError(Errno.EINTR));
    if (signal.aborted) interrupted();
    signal.addEventListener("abort", interrupted);
    const late = () => stopped.reject(new FileError(Errno.ETIMEDOUT, `No answer in ${seconds} s`));
    const timer = setTimeout(late, seconds * 1000);
    work.catch(() => {}); // it may be late, and nobody waits for it any more
    try {
      return await Promise.race([work, stopped.promise]);
    } catch (error) {
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", interrupted);
    }
  }

  /** What it means that its owner is not there. */
  gone(): FileError {
    return new FileError(Errno.ESRCH, `VM "${this.name}" does not live`);
  }

  /**
   * Does something for one of its files, and keeps word of why it failed.
   *
   * @param path The file, from the VM's folder on
   * @param work What to do
   * @param written What was written to the file
   * @throws {FileError} What the file's user is told
   */
  async attempt<T>(path: string, work: () => Promise<T> | T, written?: string): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.refusal(path, error, written);
    }
  }

  /**
   * What a file's user is told of an error; `error_log` tells more.
   *
   * @param path The file, from the VM's folder on
   * @param error The error
   * @param written What was written to the file
   */
  refusal(path: string, error: unknown, written?: string): FileError {
    const failure = error instanceof VmGoneError ? this.gone() : asFileError(error);
    if (failure.errno !== Errno.EINTR) {
      this.tree.errors.add(`vms/${this.name}/${path}`, failure, faultIn(failure, written));
    }
    return failure;
  }
}

/** A fault whose place in what was written is known. */
export class LineError extends FileError {
  readonly fault: Fault;

  /**
   * @param message What is wrong
   * @param fault Where
   * @param hint The next step
   */
  constructor(message: string, fault: Fault, hint?: string) {
    super(Errno.EINVAL, message, hint === undefined ? {} : { hint });
    this.fault = fault;
  }
}

function faultIn(error: FileError, written: string | undefined): Fault | undefined {
  if (error instanceof LineError) return error.fault;
  if (written === undefined || error.errno !== Errno.EINVAL) return undefined;
  const lines = written.split("\n").filter((line) => line.trim() !== "");
  const faults = lines.map((line) => faultOf(line, error.message));
  return faults.find(({ column }) => column > 0) ?? faults[0];
}

/** What an operation is refused with. */
function asFileError(error: unknown): FileError {
  if (error instanceof FileError) return error;
  const { message } = error as Error;
  const options = {
    cause: error,
    ...(error instanceof HvshError && error.hint !== undefined ? { hint: error.hint } : {}),
  };
  if (error instanceof HostError) return new FileError(error.errno, message, options);
  if (error instanceof HvshError) return new FileError(Errno.EINVAL, message, options);
  const code = hostErrno(error);
  return new FileError(code ?? Errno.EIO, message, options);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
