/**
 * The life of a small VM inside a process that goes on: made, run to its end, freed.
 *
 * @module
 */
import { type Bench, resultsOf } from "./bench.ts";
import { CServer } from "./c_server.ts";
import { tiny } from "./guests.ts";
import { benchDocument, runOnce } from "./in_process.ts";
import { type Contestant, interleave } from "./interleave.ts";

const NAME = "start-in-process";
const ROUNDS = { count: 200, warmUp: 10 };

/** A VM inside one process. */
export const startInProcess: Bench = {
  names: { [NAME]: "a VM made, run to its end and freed, for a guest of 13 bytes" },
  async run(bench) {
    await using stack = new AsyncDisposableStack();
    const document = benchDocument(tiny);
    const contestants: Contestant<number>[] = [{
      subject: "hvsh-in-process",
      async measure() {
        const started = performance.now();
        await runOnce(document);
        return performance.now() - started;
      },
    }];
    const c = await bench.c();
    if (c !== undefined) {
      const guest = await bench.file(tiny);
      const server = stack.use(new CServer(c.vmm, ["serve", guest], bench.signal));
      contestants.push({ subject: "c", measure: async () => (await server.ask())[0]! / 1e6 });
    }
    return resultsOf(
      NAME,
      "ms",
      await interleave(contestants, { ...ROUNDS, signal: bench.signal }),
    );
  },
};
