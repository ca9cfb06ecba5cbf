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
import type { Arrival } from "./arrival.ts";
import { makeMachine, type Order } from "./order.ts";
import type { Handle } from "./owner.ts";
import { runDetached } from "./run_machine.ts";

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
      // A VM that arrives has its owner before at the other end of stdout.
      const stream = arrival === undefined ? Deno.stdout : Deno.stderr;
      stream.writeSync(new TextEncoder().encode(JSON.stringify(handle) + "\n"));
      leaveStandardStreams();
    };
    const make = () => makeMachine(order, arrival);
    status = await runDetached(make, order.options, running, arrival);
  } catch (error) {
    const hint = error instanceof HvshError && error.hint !== undefined ? `\n  ${error.hint}` : "";
    console.error(`${error instanceof HvshError ? error.message : error}${hint}`);
  }
  Deno.exit(status);
}
