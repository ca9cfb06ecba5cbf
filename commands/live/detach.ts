/**
 * Runs a VM in a process of its own that outlives this one: the document goes in on its stdin, the
 * handle comes out on its stdout once the VM runs.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { VmDocument } from "../../vmm/document.ts";
import type { Handle } from "./owner.ts";
import type { RunOptions } from "./run_machine.ts";

/** `deno task build` gives the owner's program a folder of its own. */
const OWNER = import.meta.url.endsWith(".ts") ? "./owner_main.ts" : "../owner_main/owner_main.js";

/**
 * Starts the owner and waits until its VM runs.
 *
 * @param document What to run
 * @param options How to run it
 * @returns The VM's handle
 * @throws {VmError} With what the owner said, if it failed
 */
export async function detach(document: VmDocument, options: RunOptions): Promise<Handle> {
  const main = new URL(OWNER, import.meta.url);
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", main.href],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  owner.unref();
  const writer = owner.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ document, options })));
  await writer.close();

  const reader = owner.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    if (text.includes("\n")) return JSON.parse(text) as Handle;
  }
  const complaint = (await new Response(owner.stderr).text()).trim();
  throw new VmError(complaint === "" ? "The VM's process ended before its VM ran" : complaint);
}
