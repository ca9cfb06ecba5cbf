/**
 * A connection to a VM's control socket that is kept: any number of requests at the same time.
 *
 * @module
 */
import { lines, MOST_ANSWER, writeMessage } from "./json_lines.ts";
import { connect, isHangUp, resultOf, VmGoneError } from "./json_rpc.ts";

/** A connection that is kept. */
export class RpcConnection implements Disposable {
  readonly #connection: Deno.UnixConn;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #sending: Promise<void> = Promise.resolve();
  #last = 0;
  #closed = false;
  readonly #gone = new AbortController();

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
    this.#read();
  }

  /**
   * Connects.
   *
   * @param path The socket
   * @throws {VmGoneError} If nobody is there any more
   */
  static async open(path: string): Promise<RpcConnection> {
    return new RpcConnection(await connect(path));
  }

  /**
   * Calls a method; others may be under way.
   *
   * @param method The method
   * @param params Its parameters
   * @returns Its result
   * @throws {VmError} If the method failed or the connection ended before it was answered
   */
  async call(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#closed) throw ended(method);
    const id = ++this.#last;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    const message = { jsonrpc: "2.0", id, method, params };
    this.#sending = this.#sending.then(() => writeMessage(this.#connection, message))
      .catch(() => {}); // whoever waits hears of it from the reading side
    try {
      return await answer.promise;
    } catch (error) {
      throw error === CLOSED ? ended(method) : error;
    }
  }

  /** Aborts when the connection is closed, by either side. */
  get closed(): AbortSignal {
    return this.#gone.signal;
  }

  /** Closes it; what is under way fails. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#gone.abort();
    this.#connection.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const line of lines(this.#connection, MOST_ANSWER)) {
        const message = JSON.parse(line);
        const answer = this.#waiting.get(message.id);
        if (answer === undefined) continue; // a notification: nobody here asks for any
        this.#waiting.delete(message.id);
        try {
          answer.resolve(resultOf(message));
        } catch (error) {
          answer.reject(error);
        }
      }
    } catch (error) {
      if (!this.#closed && !isHangUp(error)) throw error;
    } finally {
      this[Symbol.dispose]();
      for (const { reject } of this.#waiting.values()) reject(CLOSED);
      this.#waiting.clear();
    }
  }
}

const CLOSED = new Error("The connection has ended");

function ended(method: string): VmGoneError {
  return new VmGoneError(`The VM's process ended before it answered "${method}"`);
}
