/**
 * JSON-RPC 2.0 over a unix socket, a message a line:
 *
 *     → {"jsonrpc":"2.0","id":1,"method":"control.pause","params":{}}
 *     ← {"jsonrpc":"2.0","id":1,"result":{"state":"paused"}}
 *
 * Requests are answered as they finish, not in order; several in an array are answered in an array.
 * A method that goes on for long sends what it has to say as notifications, messages without an id,
 * and answers at its end.
 *
 * @module
 */
import { HvshError, VmError } from "../../ffi/errors.ts";
import { lines, MOST_ANSWER, writeMessage } from "./json_lines.ts";

/** The process of a live VM is there no more. */
export class VmGoneError extends VmError {}

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
const Code = { PARSE: -32700, REQUEST: -32600, METHOD: -32601, FAILED: -32000 } as const;
/** Requests of one client that are under way; the next is read when one of them is answered. */
const MOST_REQUESTS = 1024;
/** How long work for a client that is gone may go on before its connection is closed all the same. */
const LEAVING_MILLISECONDS = 3000;

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: { readonly hint: string };
}

interface Answer {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: RpcError;
}

/** A client that is being served. */
export interface ServedClient {
  /** Resolves when it is gone, and its connection closed. */
  readonly gone: Promise<void>;
  /** Resolves when all that it has asked for so far is answered. */
  answered(): Promise<void>;
  /** Cuts it off. */
  close(): void;
}

/**
 * Answers a connection's requests until its other side is gone.
 *
 * @param connection The connection; closed at the end
 * @param find What it may call
 */
export function serve(connection: Deno.Conn, find: FindMethod): ServedClient {
  const gone = new AbortController();
  let sending: Promise<unknown> = Promise.resolve();
  const send = (message: unknown) => {
    sending = sending.then(() => writeMessage(connection, message)).catch(() => gone.abort());
    return sending;
  };
  const client: RpcClient = {
    gone: gone.signal,
    notify: async (method, params) => void await send({ jsonrpc: "2.0", method, params }),
  };
  const answers = new Set<Promise<void>>();
  const work = async () => {
    try {
      for await (const line of lines(connection)) {
        while (answers.size >= MOST_REQUESTS) await Promise.race(answers);
        const answering = answerLine(line, find, client)
          .then((answer) => answer === undefined ? undefined : send(answer))
          .then(() => void answers.delete(answering));
        answers.add(answering);
      }
    } catch {
      // The other side went away in the middle; there is nobody left to tell.
    }
    gone.abort();
    // Who only ends its own side, as nc does, still reads what is answered by then.
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, LEAVING_MILLISECONDS);
    Deno.unrefTimer(timer);
    await Promise.race([Promise.all(answers), late.promise]);
    clearTimeout(timer);
    close(connection);
  };
  return {
    gone: work(),
    answered: async () => void await Promise.all(answers),
    close: () => close(connection),
  };
}

/** What to say to a line; undefined for nothing. */
async function answerLine(line: string, find: FindMethod, client: RpcClient): Promise<unknown> {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return withVersion({ id: null, error: { code: Code.PARSE, message: "It is not JSON" } });
  }
  if (!Array.isArray(message)) return await answerTo(message, find, client);
  if (message.length === 0) return refusal("The array of requests is empty");
  const answers = await Promise.all(message.map((request) => answerTo(request, find, client)));
  const said = answers.filter((answer) => answer !== undefined);
  return said.length === 0 ? undefined : said;
}

/** A request without an id is not answered (§4.1). */
async function answerTo(message: unknown, find: FindMethod, client: RpcClient): Promise<unknown> {
  if (typeof message !== "object" || message === null) return refusal("It is no object");
  const { id, method, params = {} } = message as Record<string, unknown>;
  if (typeof method !== "string") return refusal('It has no "method"');
  if (typeof params !== "object" || params === null || Array.isArray(params)) {
    return refusal('"params" is no object', id);
  }
  const answer = await outcome(method, params as Record<string, unknown>, find, client);
  return id === undefined ? undefined : withVersion({ id, ...answer });
}

async function outcome(
  method: string,
  params: Record<string, unknown>,
  find: FindMethod,
  client: RpcClient,
): Promise<Answer> {
  try {
    const handler = await find(method);
    if (handler === undefined) {
      const message = `There is no method ${JSON.stringify(method)}`;
      return { error: { code: Code.METHOD, message } };
    }
    return { result: await handler(params, client) ?? null };
  } catch (error) {
    const { message } = error as Error;
    const hint = error instanceof HvshError ? error.hint : undefined;
    const data = hint === undefined ? {} : { data: { hint } };
    return { error: { code: Code.FAILED, message, ...data } };
  }
}

function refusal(message: string, id: unknown = null) {
  return withVersion({ id, error: { code: Code.REQUEST, message } });
}

function withVersion(answer: Answer) {
  return { jsonrpc: "2.0", ...answer };
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed before.
  }
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
export function follow(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  signal?: AbortSignal,
): AsyncGenerator<Notification, unknown> {
  return talk(path, method, params, { signal, toEnd: false });
}

async function* talk(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
  { signal, toEnd }: { signal?: AbortSignal | undefined; toEnd: boolean },
): AsyncGenerator<Notification, unknown> {
  const connection = await connect(path);
  const abort = () => close(connection);
  signal?.addEventListener("abort", abort);
  try {
    await writeMessage(connection, { jsonrpc: "2.0", id: 1, method, params });
    for await (const line of lines(connection, MOST_ANSWER)) {
      const message = JSON.parse(line) as Notification & Answer;
      if (message.id !== 1) {
        yield message;
        continue;
      }
      if (toEnd) await closedByPeer(connection);
      return resultOf(message);
    }
  } catch (error) {
    if (!signal?.aborted && !isHangUp(error)) throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    close(connection);
  }
  if (signal?.aborted) return undefined;
  throw new VmGoneError(`The VM's process ended before it answered "${method}"`);
}

/**
 * Calls one method and closes the connection.
 *
 * @param path The socket
 * @param method The method
 * @param params Its parameters
 * @param signal Aborts it: the connection is closed
 * @returns Its result
 * @throws {VmError} If the method failed or its process ended before it answered
 */
export async function call(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  signal?: AbortSignal,
): Promise<unknown> {
  return await result(talk(path, method, params, { signal, toEnd: false }));
}

/**
 * Calls a method that ends the VM, and waits until its name is free again: its owner has closed the
 * connection, or some seconds have passed.
 *
 * @param path The socket
 * @param method The method
 * @param params Its parameters
 * @returns Its result
 * @throws {VmError} If the method failed or its process ended before it answered
 */
export async function callToEnd(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  return await result(talk(path, method, params, { toEnd: true }));
}

async function result(calling: AsyncGenerator<Notification, unknown>): Promise<unknown> {
  for (;;) {
    const { done, value } = await calling.next();
    if (done) return value;
  }
}

/**
 * Connects to a VM's control socket.
 *
 * @param path The socket
 * @returns The connection
 * @throws {VmGoneError} If nobody is there any more
 */
export async function connect(path: string): Promise<Deno.UnixConn> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    const { NotFound, ConnectionRefused } = Deno.errors;
    if (!(error instanceof NotFound || error instanceof ConnectionRefused)) throw error;
    throw new VmGoneError("The VM has just ended", { cause: error, hint: "hvsh list" });
  }
}

/**
 * The result in an answer.
 *
 * @param answer The answer
 * @throws {VmError} If it is an error
 */
export function resultOf({ result, error }: Answer): unknown {
  if (error === undefined) return result;
  throw new VmError(error.message, error.data === undefined ? {} : { hint: error.data.hint });
}

/**
 * Whether an error says that the other side is gone.
 *
 * @param error What a read or write threw
 */
export function isHangUp(error: unknown): boolean {
  const { BrokenPipe, ConnectionReset } = Deno.errors;
  return error instanceof BrokenPipe || error instanceof ConnectionReset;
}

const CLOSING_MILLISECONDS = 5000;

/** Waits until the other side has closed a connection: its name is free then. */
async function closedByPeer(connection: Deno.Conn): Promise<void> {
  const timer = setTimeout(() => close(connection), CLOSING_MILLISECONDS);
  const byte = new Uint8Array(1);
  try {
    while (await connection.read(byte) !== null);
  } catch {
    // That it is gone is all there is to know.
  } finally {
    clearTimeout(timer);
  }
}
