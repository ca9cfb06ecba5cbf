/**
 * HTTP/1.0 with bodies that last to the end of their connection: the server closes first, the client
 * when it has seen that. The passt of Debian 12 (2023-03-09) goes round for ever, now and then, where both
 * sides close at once, as they do where the client knows the body's length.
 *
 * @module
 */

/** A web server on the host's loopback. */
export class PlainServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #answers: Readonly<Record<string, Uint8Array | string>>;
  readonly #done: Promise<void>;

  /** @param answers What there is, by path */
  constructor(answers: Readonly<Record<string, Uint8Array | string>>) {
    this.#answers = answers;
    this.#done = this.#serve();
  }

  /** Its port. */
  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(): Promise<void> {
    const connections: Promise<void>[] = [];
    for await (const connection of this.#listener) connections.push(this.#answer(connection));
    await Promise.all(connections);
  }

  async #answer(connection: Deno.TcpConn): Promise<void> {
    using _ = connection;
    const buffer = new Uint8Array(4096);
    let request = "";
    while (!request.includes("\r\n\r\n")) {
      const length = await connection.read(buffer);
      if (length === null) return;
      request += new TextDecoder().decode(buffer.subarray(0, length));
    }
    const answer = this.#answers[request.split(" ")[1]!];
    await send(connection, `HTTP/1.0 ${answer === undefined ? "404 Not Found" : "200 OK"}\r\n\r\n`);
    await send(connection, answer ?? "");
    await connection.closeWrite();
    while (await connection.read(buffer) !== null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done;
  }
}

/**
 * Fetches from a web server.
 *
 * @param port Its port on the host's loopback
 * @param path What
 * @returns The body
 */
export async function plainGet(port: number, path: string): Promise<Uint8Array<ArrayBuffer>> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await send(connection, `GET ${path} HTTP/1.0\r\n\r\n`);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(65536);
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) break;
    pieces.push(buffer.slice(0, length));
  }
  const answer = await new Blob(pieces).bytes();
  const body = new TextDecoder("latin1").decode(answer.subarray(0, 4096)).indexOf("\r\n\r\n") + 4;
  return answer.subarray(body);
}

async function send(connection: Deno.TcpConn, data: Uint8Array | string): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
