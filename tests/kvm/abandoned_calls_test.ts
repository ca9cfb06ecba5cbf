/** Clients of an owner that leave before they are answered. */
import assert from "node:assert/strict";
import { RpcConnection } from "../../commands/live/rpc_connection.ts";
import { SPIN } from "../guest_code.ts";
import { openFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached } from "../vm_home.ts";

/** More than a serial port takes of what its guest does not read. */
const MUCH = new Uint8Array(100_000).toBase64();
const DEADLINE_MILLISECONDS = 60_000;
const LOOK_MILLISECONDS = 5;
const GONE = { code: -32000, message: "The client is gone" };

/** Sockets that a process has open. */
function sockets(pid: number): number {
  return openFiles(pid).filter((file) => file.startsWith("socket:")).length;
}

/** Waits until a process has no more sockets open than it had; the last one may just be closing. */
async function closes(pid: number, before: number): Promise<void> {
  const end = performance.now() + DEADLINE_MILLISECONDS;
  while (sockets(pid) > before) {
    assert.ok(performance.now() < end, `${sockets(pid)} sockets are open, and ${before} were`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

/** A client that ends its side, as one does that is gone, but reads what it would have been answered. */
class Leaving implements Disposable {
  readonly #connection: Deno.UnixConn;
  #text = "";

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  static async connect(path: string): Promise<Leaving> {
    return new Leaving(await Deno.connect({ transport: "unix", path }));
  }

  async ask(id: number, method: string, params: object): Promise<void> {
    const request = { jsonrpc: "2.0", id, method, params };
    await this.#connection.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
  }

  async leave(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** The next answer; undefined when the owner has closed the connection. */
  async answer(): Promise<{ error?: unknown; result?: unknown } | undefined> {
    const chunk = new Uint8Array(65536);
    while (!this.#text.includes("\n")) {
      const count = await this.#connection.read(chunk);
      if (count === null) return undefined;
      this.#text += new TextDecoder().decode(chunk.subarray(0, count));
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

onKvm("an owner gives back the connections of clients that have left", async () => {
  await using home = new HvshHome();
  const { pid } = await detached(home, "gold", SPIN);
  const control = `${home.runtime}/hvsh/gold/control`;
  const before = sockets(pid);
  {
    using moving = await Leaving.connect(control);
    await moving.ask(1, "migration.begin", {});
    assert.notEqual((await moving.answer())?.result, undefined);
    {
      using holder = await RpcConnection.open(control);
      await holder.call("state.hold");
      await moving.ask(2, "migration.hold", { milliseconds: 60_000 });
      await moving.leave();
      const calls = [
        ["control.wait", {}],
        ["console.send", { data: MUCH }],
        ["state.hold", {}], // which another one has
      ] as const;
      for (const [method, params] of calls) {
        using client = await Leaving.connect(control);
        await client.ask(1, method, params);
        await client.leave();
        assert.deepEqual((await client.answer())?.error, GONE, method);
        assert.equal(await client.answer(), undefined);
      }
    }
    assert.deepEqual((await moving.answer())?.error, GONE);
    assert.equal(await moving.answer(), undefined);
  }
  await closes(pid, before);
  // Nobody is there any more to be told of the end: a later `wait` is.
  assert.equal((await home.run(["kill", "gold"])).status, 0);
  assert.equal((await home.run(["wait", "gold"])).status, 137);
});
