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
import { hintLine } from "../hint_line.ts";
import type { Arrival } from "./arrival.ts";
import { makeMachine, type Order } from "./order.ts";
import type { Handle } from "./owner.ts";
import { runDetached } from "./run_machine.ts";

/** Whoever started this process may be gone, but the VM runs nowhere else any more. */
function sayOnStderr(line: Uint8Array): void {
  try {
    Deno.stderr.writeSync(line);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

async function arrivalOf(): Promise<Arrival> {
  const { Arrival } = await import("./arrival.ts");
  return new Arrival();
}

if (import.meta.main) {
  let status = 125;
  try {
    MachineThread.prepare(1);
    const [word] = Deno.args;
    const order: Order = word === undefined
      ? await new Response(Deno.stdin.readable).json()
      : JSON.parse(word);
    const arrival = order.live === true ? await arrivalOf() : undefined;
    const running = (handle: Handle) => {
      const line = new TextEncoder().encode(JSON.stringify(handle) + "\n");
      if (arrival === undefined) Deno.stdout.writeSync(line);
      else sayOnStderr(line); // the other end of stdout is the owner before
      leaveStandardStreams();
    };
    const make = () => makeMachine(order, arrival);
    status = await runDetached(make, order.options, running, arrival);
  } catch (error) {
    console.error(error instanceof HvshError ? error.message : `${error}`);
    if (error instanceof HvshError && error.hint !== undefined) console.error(hintLine(error.hint));
  }
  Deno.exit(status);
}
