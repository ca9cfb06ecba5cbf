/**
 * How soon a guest that spins stands still.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { Machine } from "../../vmm/machine.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { CServer } from "./c_server.ts";
import { spinning } from "./guests.ts";
import { benchDocument } from "./in_process.ts";
import { type Contestant, interleave } from "./interleave.ts";

const NAME = "kick";
const ROUNDS = { count: 250, warmUp: 20 };
/** How long the guest spins before it is kicked, so that it surely does. */
const SPIN_MILLISECONDS = 2;

/** From pause() to every vCPU standing still. */
export const kick: Bench = {
  names: { [NAME]: "from pause() to a spinning guest's vCPU standing still" },
  async run(bench) {
    await using stack = new AsyncDisposableStack();
    const machine = stack.use(await Machine.create(benchDocument(spinning)));
    machine.start({ paused: true });
    const contestants: Contestant<number>[] = [{
      subject: "hvsh-in-process",
      async measure() {
        machine.resume();
        await delay(SPIN_MILLISECONDS);
        const started = performance.now();
        await machine.pause();
        return (performance.now() - started) * 1000;
      },
    }];
    const c = await bench.c();
    if (c !== undefined) {
      const guest = await bench.file(spinning);
      const server = stack.use(new CServer(c.vmm, ["kick", guest], bench.signal));
      contestants.push({ subject: "c", measure: async () => (await server.ask())[0]! / 1e3 });
    }
    return resultsOf(
      NAME,
      "us",
      await interleave(contestants, { ...ROUNDS, signal: bench.signal }),
    );
  },
};
