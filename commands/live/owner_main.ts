/**
 * The process of a detached VM: what to run comes as JSON on stdin, the handle goes to stdout once
 * the VM runs, and a failure before that to stderr. Deno ignores SIGPIPE, which is right here: the
 * other end of both pipes goes away while the VM runs on.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { MachineThread } from "../../vmm/threads/thread.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { runDetached, type RunOptions } from "./run_machine.ts";

interface Order {
  readonly document: VmDocument;
  readonly options: RunOptions;
}

if (import.meta.main) {
  let status = 125;
  try {
    MachineThread.prepare(1);
    const { document, options }: Order = await new Response(Deno.stdin.readable).json();
    status = await runDetached(document, options, (handle) => {
      Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(handle) + "\n"));
      Deno.stdout.close();
    });
  } catch (error) {
    const hint = error instanceof HvshError && error.hint !== undefined ? `\n  ${error.hint}` : "";
    console.error(`${error instanceof HvshError ? error.message : error}${hint}`);
  }
  Deno.exit(status);
}
