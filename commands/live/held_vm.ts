/**
 * A VM that is held while its state is taken.
 *
 * @module
 */
import { ProcessPages } from "../../vmm/state/process_pages.ts";
import type { HeldState } from "./methods/state.ts";
import { RpcConnection } from "./rpc_connection.ts";
import type { RunDirectory } from "./run_directory.ts";

/** How long an ended VM may take to let go of what it has, and how often to look. */
const MOST_WAIT_MILLISECONDS = 10_000;
const LOOK_MILLISECONDS = 2;

function hasMemory(pid: number, fd: number): boolean {
  try {
    return Deno.readLinkSync(`/proc/${pid}/fd/${fd}`).startsWith("/memfd:hvsh");
  } catch {
    return false; // it is closed, or the process has ended
  }
}

/** A VM that is held; disposing it lets it go on. */
export class HeldVm implements Disposable {
  /** Its state but for memory. */
  readonly state: HeldState;
  /** Its memory. */
  readonly memory: ProcessPages;
  readonly #connection: RpcConnection;

  private constructor(connection: RpcConnection, state: HeldState) {
    this.#connection = connection;
    this.state = state;
    this.memory = new ProcessPages(state.pid, state.slots, state.traps);
  }

  /**
   * Holds a VM.
   *
   * @param directory Its folder
   * @param options `track` has what changes from then on noted; `since` is the snapshot whose changes
   *   are wanted
   * @param signal Ends the wait for it, which is long while another one holds the VM
   * @throws {VmError} If it has ended, or the wait was
   */
  static async hold(
    directory: RunDirectory,
    options: { readonly track?: boolean; readonly since?: string } = {},
    signal?: AbortSignal,
  ): Promise<HeldVm> {
    const connection = await RpcConnection.open(directory.control);
    const leave = () => connection[Symbol.dispose]();
    if (signal?.aborted) leave();
    signal?.addEventListener("abort", leave);
    try {
      return new HeldVm(connection, await connection.call("state.hold", options) as HeldState);
    } catch (error) {
      leave();
      throw error;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  /** Lets it go on. */
  async release(): Promise<void> {
    await this.#connection.call("state.release", { end: false });
  }

  /** Ends it where it stands, and waits until it has nothing open any more. */
  async end(): Promise<void> {
    await this.#connection.call("state.release", { end: true });
    const { pid, slots } = this.state;
    const files = slots.flatMap(({ file }) => file === undefined ? [] : [file.fd]);
    const late = performance.now() + MOST_WAIT_MILLISECONDS;
    // Its memory is the last that it gives back.
    while (files.some((fd) => hasMemory(pid, fd)) && performance.now() < late) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
  }
}
