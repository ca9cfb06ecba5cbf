/**
 * A VM's console for those who come and go: to read it, to type into it, to wait for some text. Bytes
 * travel as base64.
 *
 * @module
 */
import { UsageError, VmError } from "../../../ffi/errors.ts";
import type { ConsoleTap } from "../console_tap.ts";
import type { RpcClient } from "../json_rpc.ts";
import type { MethodGroup, OwnedVm } from "../methods.ts";
import { whileThere } from "../while_there.ts";

/** What is sent at once. */
const MOST_CHUNK = 2 ** 16;
const MOST_TEXT = 2 ** 12;
/** setTimeout's own limit. */
const MOST_DELAY = 2 ** 31 - 1;

/** How a wait for some text came out. */
export type Expected = "found" | "late" | "ended";

/** The group `console`. */
export const methods: MethodGroup = (vm) => ({
  /**
   * Sends `output`, with `log` first all that is still there, until the VM ends or somebody detaches;
   * says which.
   */
  attach: async ({ from, log, detachable, follow = true }, client) => {
    using reader = vm.console.read(typeof from === "number" ? from : undefined);
    // Read in the same step as the reader was made: no byte is missing, none comes twice.
    const before = log === true ? logged(vm) : [];
    reader.detachable = detachable === true;
    await client.notify("attached", {});
    for (const bytes of before) await output(bytes, client);
    while (follow === true) {
      const bytes = await reader.next(client.gone);
      if (bytes === undefined) return reader.ended;
      await output(bytes, client);
    }
    return undefined;
  },
  /** Resolves when the guest has taken it, which it may do when its sender is long gone. */
  send: ({ data }, { gone }) =>
    whileThere(vm.machine.console.send(Uint8Array.fromBase64(String(data))), gone),
  /** Sends `output` up to the end of the text; begins where the last such wait has ended. */
  expect: async ({ text, seconds }, client) =>
    await expect(vm.console, String(text), Number(seconds), client),
  /** How many bytes it has said. */
  place: () => vm.console.end,
  /** How many were sent away. */
  detach: () => {
    const count = vm.console.detach();
    if (!vm.foreground) return count;
    const others = count === 0 ? "" : `, and ${count} others were detached`;
    throw new VmError(`${vm.name} runs in the foreground of process ${Deno.pid}${others}`, {
      hint: "the VM and its terminal are one process: `hvsh run -d` gives a VM one of its own",
    });
  },
});

async function output(bytes: Uint8Array, client: RpcClient): Promise<void> {
  for (let at = 0; at < bytes.length && !client.gone.aborted; at += MOST_CHUNK) {
    const data = bytes.subarray(at, at + MOST_CHUNK).toBase64();
    await client.notify("output", { data });
  }
}

/** All that is still there of the console, without what a reader of now on is given. */
function logged(vm: OwnedVm): Uint8Array[] {
  const { consoleLog } = vm.directory;
  const files = [`${consoleLog}.old`, consoleLog].map(readIfThere).filter((f) => f !== undefined);
  return files.length > 0 ? files : [vm.console.since(0)];
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function expect(
  tap: ConsoleTap,
  text: string,
  seconds: number,
  client: RpcClient,
): Promise<Expected> {
  const wanted = binary(new TextEncoder().encode(text));
  if (wanted === "" || wanted.length > MOST_TEXT) {
    throw new UsageError(`Cannot wait for ${wanted.length} bytes: it is 1 to ${MOST_TEXT}`);
  }
  using reader = tap.read(tap.matched);
  using stack = new DisposableStack();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), Math.min(seconds * 1000, MOST_DELAY));
  stack.defer(() => clearTimeout(timer));
  const over = AbortSignal.any([late.signal, client.gone]);
  let place = Math.max(tap.matched, tap.start);
  let tail = "";
  for (;;) {
    const bytes = await reader.next(over);
    if (bytes === undefined) return over.aborted ? "late" : "ended";
    const seen = tail + binary(bytes);
    const at = seen.indexOf(wanted);
    const taken = at < 0 ? bytes.length : at + wanted.length - tail.length;
    await output(bytes.subarray(0, taken), client);
    place += taken;
    if (at >= 0) {
      tap.matched = Math.max(tap.matched, place);
      return "found";
    }
    tail = seen.slice(1 - wanted.length || seen.length);
  }
}

/** Bytes as text of as many characters. */
function binary(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}
