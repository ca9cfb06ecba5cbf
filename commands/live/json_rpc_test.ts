import assert from "node:assert/strict";
import fc from "fast-check";
import { VmError } from "../../ffi/errors.ts";
import { call, callToEnd, follow, type Methods, serve, type ServedClient } from "./json_rpc.ts";
import { RpcConnection } from "./rpc_connection.ts";

/** A socket that answers. */
class Served implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly path = `${this.#folder}/control`;
  readonly #listener = Deno.listen({ transport: "unix", path: this.path });
  readonly #clients: ServedClient[] = [];
  readonly #accepting: Promise<void>;

  constructor(methods: Methods) {
    this.#accepting = this.#accept(methods);
  }

  async #accept(methods: Methods): Promise<void> {
    for await (const connection of this.#listener) {
      this.#clients.push(serve(connection, (name) => methods[name]));
    }
  }

  closeClients(): void {
    for (const client of this.#clients) client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    this.closeClients();
    await Promise.all(this.#clients.map(({ gone }) => gone));
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** Sends text, ends its side, and gives the lines that come back. */
async function talk(path: string, text: string): Promise<unknown[]> {
  using connection = await Deno.connect({ transport: "unix", path });
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
  await connection.closeWrite();
  let answer = "";
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(4096);
  for (;;) {
    const count = await connection.read(chunk);
    if (count === null) break;
    answer += decoder.decode(chunk.subarray(0, count), { stream: true });
  }
  return answer.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

const request = (id: unknown, method: string, params = {}) =>
  JSON.stringify({ jsonrpc: "2.0", ...(id === undefined ? {} : { id }), method, params });

Deno.test("requests are answered as they finish, each once, and those without an id not", async () => {
  const held = Promise.withResolvers<void>();
  let told = 0;
  await using server = new Served({
    slow: () => held.promise.then(() => "slow"),
    fast: () => (held.resolve(), "fast"),
    tell: () => void told++,
  });
  const lines = [request(1, "slow"), request(undefined, "tell"), request("two", "fast")];
  const answers = await talk(server.path, lines.join("\n") + "\n");
  assert.deepEqual(answers, [
    { jsonrpc: "2.0", id: "two", result: "fast" },
    { jsonrpc: "2.0", id: 1, result: "slow" },
  ]);
  assert.equal(told, 1);
});

Deno.test("an array of requests is answered by an array", async () => {
  await using server = new Served({ add: ({ a, b }) => Number(a) + Number(b) });
  const add = (id: unknown, a: number) => JSON.parse(request(id, "add", { a, b: 1 }));
  const batch = JSON.stringify([add(1, 1), add(undefined, 2), add(3, 3), 4]);
  assert.deepEqual(await talk(server.path, `[${request(undefined, "add")}]\n${batch}\n`), [
    [
      { jsonrpc: "2.0", id: 1, result: 2 },
      { jsonrpc: "2.0", id: 3, result: 4 },
      { jsonrpc: "2.0", id: null, error: { code: -32600, message: "It is no object" } },
    ],
  ]);
  const [empty] = await talk(server.path, "[]\n") as { error: { code: number } }[];
  assert.equal(empty!.error.code, -32600);
});

Deno.test("what is no request is told so, and what fails says why and what to do", async () => {
  await using server = new Served({
    fail: () => {
      throw new VmError("It failed", { hint: "try again" });
    },
  });
  const answers = await talk(
    server.path,
    [
      "{",
      "null",
      "{}",
      request(7, "none"),
      '{"id":8,"method":"fail","params":[]}',
      request(9, "fail"),
    ]
      .join("\n") + "\n",
  ) as { id: unknown; error: { code: number } }[];
  assert.deepEqual(answers.map(({ id, error }) => [id, error.code]), [
    [null, -32700],
    [null, -32600],
    [null, -32600],
    [7, -32601],
    [8, -32600],
    [9, -32000],
  ]);
  await assert.rejects(call(server.path, "fail"), { message: "It failed", hint: "try again" });
});

Deno.test("a line that never ends cuts its client off, and nobody else", async () => {
  await using server = new Served({ ping: () => "pong" });
  using other = await RpcConnection.open(server.path);
  await assert.rejects(talk(server.path, "x".repeat(3 << 20)), Error);
  assert.equal(await other.call("ping"), "pong");
});

Deno.test("no bytes that a client sends end the server", async () => {
  await using server = new Served({ ping: () => "pong" });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
      await talk(server.path, `${text}\n`);
      assert.equal(await call(server.path, "ping"), "pong");
    }),
    { numRuns: 50 },
  );
});

Deno.test("more requests than are worked at once are all answered", async () => {
  await using server = new Served({ echo: ({ n }) => Promise.resolve(n) });
  using connection = await RpcConnection.open(server.path);
  const all = Array.from({ length: 5000 }, (_, n) => n);
  assert.deepEqual(await Promise.all(all.map((n) => connection.call("echo", { n }))), all);
});

Deno.test("a method hears that its client is gone, and its client that it ended", async () => {
  const gone = Promise.withResolvers<void>();
  await using server = new Served({
    forever: async (_params, client) => {
      client.gone.addEventListener("abort", () => gone.resolve());
      await client.notify("began", { n: 1 });
      await gone.promise;
    },
  });
  const leave = new AbortController();
  for await (const message of follow(server.path, "forever", {}, leave.signal)) {
    assert.deepEqual(message, { jsonrpc: "2.0", method: "began", params: { n: 1 } });
    leave.abort();
  }
  await gone.promise;
});

Deno.test("a client that is gone is let go of, also by a method that never ends", async () => {
  const never = Promise.withResolvers<void>();
  await using server = new Served({ hang: () => never.promise, ping: () => "pong" });
  const lines = [request(1, "hang"), request(2, "ping")];
  // It ends its own side and reads on: until the other is closed too.
  const answers = await talk(server.path, lines.join("\n") + "\n");
  assert.deepEqual(answers, [{ jsonrpc: "2.0", id: 2, result: "pong" }]);
});

Deno.test("an answer may be longer than a request, and so may a notification", async () => {
  const long = "x".repeat(5 << 20);
  await using server = new Served({
    say: async (_params, client) => {
      await client.notify("long", { long });
      return long;
    },
  });
  assert.equal(await call(server.path, "say"), long);
  const saying = follow(server.path, "say");
  assert.deepEqual((await saying.next()).value, {
    jsonrpc: "2.0",
    method: "long",
    params: { long },
  });
  assert.deepEqual(await saying.next(), { done: true, value: long });
});

Deno.test("what is under way when the connection ends fails, and says what it was", async () => {
  const never = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  await using server = new Served({ hang: () => (began.resolve(), never.promise) });
  using connection = await RpcConnection.open(server.path);
  const hanging = assert.rejects(connection.call("hang"), /ended before it answered "hang"/);
  await began.promise;
  server.closeClients();
  await hanging;
  await assert.rejects(connection.call("hang"), /ended before it answered/);
  never.resolve();
  await assert.rejects(call(`${server.path}x`, "hang"), /The VM has just ended/);
});

Deno.test("an end is awaited until the other side has let go", async () => {
  await using server = new Served({ end: () => "ended" });
  let over = false;
  const ending = callToEnd(server.path, "end").then((result) => (over = true, result));
  assert.equal(await call(server.path, "end"), "ended"); // by then the first has its answer too
  assert.equal(over, false);
  server.closeClients();
  assert.equal(await ending, "ended");
});
