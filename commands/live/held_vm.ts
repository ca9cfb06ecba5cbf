/**
 * A VM that is held while its state is taken.
 *
 * @module
 */
import { ProcessPages } from "../../vmm/state/process_pages.ts";
import type { HeldState } from "./methods/state.ts";
import { RpcConnection } from "./rpc_connection.ts";
import type { RunDirectory } from "./run_directory.ts";

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
   * @throws {VmError} If it has ended
   */
  static async hold(directory: RunDirectory): Promise<HeldVm> {
    const connection = await RpcConnection.open(directory.control);
    try {
      return new HeldVm(connection, await connection.call("state.hold") as HeldState);
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Lets it go.
   *
   * @param end Whether it ends where it stands, in place of going on
   * @returns Its handle, or how it ended
   */
  async release(end: boolean): Promise<unknown> {
    return await this.#connection.call("state.release", { end });
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
  }
}
