/**
 * The process of a detached VM: what to run comes as JSON on stdin, or as a word where a stream is on
 * stdin that it is to go on from; the handle goes to stdout once
 * the VM runs, and a failure before that to stderr. From then on it has none of the three: their other
 * ends go away while the VM runs on. A failure is left for `hvsh wait`.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { leaveStandardStreams } from "../../ffi/standard_streams.ts";
import { MachineThread } from "../../vmm/threads/thread.ts";
import { makeMachine, type Order } from "./order.ts";
import { runDetached } from "./run_machine.ts";

if (import.meta.main) {
  let status = 125;
  try {
    MachineThread.prepare(1);
    const [word] = Deno.args;
    const order: Order = word === undefined
      ? await new Response(Deno.stdin.readable).json()
      : JSON.parse(word);
    status = await runDetached(() => makeMachine(order), order.options, (handle) => {
      Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(handle) + "\n"));
      leaveStandardStreams();
    });
  } catch (error) {
    const hint = error instanceof HvshError && error.hint !== undefined ? `\n  ${error.hint}` : "";
    console.error(`${error instanceof HvshError ? error.message : error}${hint}`);
  }
  Deno.exit(status);
}
