/**
 * JSON-RPC 2.0 over a unix socket, a message a line:
 *
 *     → {"jsonrpc":"2.0","id":1,"method":"pause","params":{}}
 *     ← {"jsonrpc":"2.0","id":1,"result":{"state":"paused"}}
 *
 * Requests are answered as they finish, not in order. A method that goes on for long sends what it
 * has to say as notifications, messages without an id, and answers at its end.
 *
 * @module
 */
import { HvshError, VmError } from "../../ffi/errors.ts";

/** Who asks. */
export interface RpcClient {
  /** Aborts when the other side is gone. */
  readonly gone: AbortSignal;
  /**
   * Sends a notification.
   *
   * @param method What it is about
   * @param params What there is to say
   * @returns Resolves when it has been taken: a slow reader is waited for
   */
  notify(method: string, params: unknown): Promise<void>;
}

/** A method takes its parameters and gives a result that JSON can hold. */
export type Method = (
  params: Readonly<Record<string, unknown>>,
  client: RpcClient,
) => Promise<unknown> | unknown;

/** Methods by name. */
export type Methods = Readonly<Record<string, Method>>;

/** Finds a method by its name; undefined if there is none. */
export type FindMethod = (name: string) => Promise<Method | undefined> | Method | undefined;

/** Codes of JSON-RPC 2.0 §5.1, and ours. */
const Code = { PARSE: -32700, METHOD: -32601, FAILED: -32000 } as const;
/** A client that sends a longer line is cut off. */
const MAX_LINE = 1 << 20;

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: { readonly hint: string };
}

/**
 * Answers a connection's requests until its other side is gone.
 *
 * @param connection The connection; closed at the end
 * @param find What it may call
 */
export async function serve(connection: Deno.Conn, find: FindMethod): Promise<void> {
  const encoder = new TextEncoder();
  let sending: Promise<unknown> = Promise.resolve();
  const send = (message: object) => {
    const bytes = encoder.encode(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
    sending = sending.then(() => writeAll(connection, bytes)).catch(() => {});
    return sending;
  };
  const gone = new AbortController();
  const client: RpcClient = {
    gone: gone.signal,
    notify: async (method, params) => void await send({ method, params }),
  };
  const answer = async (line: string): Promise<unknown> => {
    let request: { id?: unknown; method?: unknown; params?: unknown };
    try {
      request = JSON.parse(line);
    } catch {
      return await send({ id: null, error: { code: Code.PARSE, message: "It is not JSON" } });
    }
    const { id = null, method, params } = request ?? {};
    const handler = typeof method === "string" ? await find(method) : undefined;
    if (handler === undefined) {
      const message = `There is no method ${JSON.stringify(method)}`;
      return await send({ id, error: { code: Code.METHOD, message } });
    }
    try {
      const result = await handler((params ?? {}) as Record<string, unknown>, client);
      return await send({ id, result: result ?? null });
    } catch (error) {
      return await send({ id, error: toRpcError(error) });
    }
  };
  const answers = new Set<Promise<void>>();
  try {
    for await (const line of lines(connection)) {
      const work = answer(line).then(() => {}).finally(() => answers.delete(work));
      answers.add(work);
    }
    gone.abort();
    await Promise.all(answers);
    await sending;
  } catch {
    // The other side went away in the middle; there is nobody left to tell.
  } finally {
    gone.abort();
    connection.close();
  }
}

function toRpcError(error: unknown): RpcError {
  const { message } = error as Error;
  const hint = error instanceof HvshError ? error.hint : undefined;
  return { code: Code.FAILED, message, ...(hint === undefined ? {} : { data: { hint } }) };
}

/** A notification, as the other side of {@linkcode RpcClient.notify} gets it. */
export interface Notification {
  readonly method: string;
  readonly params: unknown;
}

/**
 * Calls a method that goes on for long.
 *
 * @param path The socket
 * @param method The method
 * @param params Its parameters
 * @param signal Aborts it: the connection is closed
 * @returns What it says meanwhile; its result is the generator's
 * @throws {VmError} If the method failed or its process ended before it answered
 */
export async function* follow(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  signal?: AbortSignal,
): AsyncGenerator<Notification, unknown> {
  const connection = await Deno.connect({ transport: "unix", path });
  const close = () => {
    try {
      connection.close();
    } catch {
      // It was closed before.
    }
  };
  signal?.addEventListener("abort", close);
  try {
    const request = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }) + "\n";
    await writeAll(connection, new TextEncoder().encode(request));
    for await (const line of lines(connection)) {
      const message = JSON.parse(line) as Notification & { id?: number } & Answer;
      if (message.id === 1) return resultOf(message);
      yield message;
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  } finally {
    signal?.removeEventListener("abort", close);
    close();
  }
  if (signal?.aborted) return undefined;
  throw new VmError(`The VM's process ended before it answered "${method}"`);
}

/**
 * Calls one method and closes the connection.
 *
 * @param path The socket
 * @param method The method
 * @param params Its parameters
 * @returns Its result
 * @throws {VmError} If the method failed or its process ended before it answered
 */
export async function call(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const calling = follow(path, method, params);
  for (;;) {
    const { done, value } = await calling.next();
    if (done) return value;
  }
}

interface Answer {
  readonly result?: unknown;
  readonly error?: RpcError;
}

function resultOf({ result, error }: Answer): unknown {
  if (error === undefined) return result;
  throw new VmError(error.message, error.data === undefined ? {} : { hint: error.data.hint });
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

async function* lines(connection: Deno.Conn): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(65536);
  let rest = "";
  for (;;) {
    const count = await connection.read(chunk);
    if (count === null) return;
    const pieces = (rest + decoder.decode(chunk.subarray(0, count), { stream: true })).split("\n");
    rest = pieces.pop()!;
    if (rest.length > MAX_LINE) throw new VmError("A message is longer than 1 MiB");
    yield* pieces.filter((line) => line !== "");
  }
}
