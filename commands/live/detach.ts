/**
 * Runs a VM in a process of its own that outlives this one: what to run goes in on its stdin, the
 * handle comes out on its stdout once the VM runs.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Order } from "./order.ts";
import type { Handle } from "./owner.ts";

/** `deno task build` gives the owner's program a folder of its own. */
const OWNER = import.meta.url.endsWith(".ts") ? "./owner_main.ts" : "../owner_main/owner_main.js";

/**
 * Starts the owner of a VM that comes over this process's stdin and stdout, and waits until it runs; this
 * process may go before.
 *
 * @param order What to do with it, and how
 * @throws {VmError} With what the owner said, if it failed
 */
export async function detachArrival(order: Order): Promise<void> {
  const main = new URL(OWNER, import.meta.url);
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", main.href, JSON.stringify(order)],
    stdin: "inherit",
    stdout: "inherit",
    stderr: "piped",
    detached: true,
  }).spawn();
  owner.unref();
  let text = "";
  for await (const piece of owner.stderr.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (/^\{"live":.*\}$/m.test(text)) return;
  }
  throw ended(text.trim());
}

function ended(complaint: string): VmError {
  return new VmError(complaint === "" ? "The VM's process ended before its VM ran" : complaint);
}

/**
 * Starts the owner and waits until its VM runs.
 *
 * @param order What to run, and how
 * @param stream The stream that it goes on from: what is left of this process's own stdin, or bytes
 * @param started Told of its process, which makes the VM from then on
 * @returns The VM's handle
 * @throws {VmError} With what the owner said, if it failed
 */
export async function detach(
  order: Order,
  stream?: "inherit" | AsyncIterable<Uint8Array>,
  started: (pid: number) => void = () => {},
): Promise<Handle> {
  const main = new URL(OWNER, import.meta.url);
  // Where a stream is on its stdin, what to do with it has to come another way.
  const words = stream === undefined ? [] : [JSON.stringify(order)];
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", main.href, ...words],
    stdin: stream === "inherit" ? "inherit" : "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  owner.unref();
  started(owner.pid);
  if (stream === undefined) {
    const writer = owner.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(order)));
    await writer.close();
  } else if (stream !== "inherit") {
    // It says itself what it did not like of a stream that it does not read to its end.
    await ReadableStream.from(stream).pipeTo(owner.stdin).catch(() => {});
  }

  const reader = owner.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    if (text.includes("\n")) return JSON.parse(text) as Handle;
  }
  throw ended((await new Response(owner.stderr).text()).trim());
}
