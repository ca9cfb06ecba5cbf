/**
 * The life of a small VM as a process of its own: how long it takes, and how much memory.
 *
 * @module
 */
import { type Bench, resultsOf } from "./bench.ts";
import { tiny } from "./guests.ts";
import { type Contestant, interleave } from "./interleave.ts";
import { peers } from "./peers.ts";
import type { CPrograms, Workbench } from "./workbench.ts";

const ROUNDS = { count: 25, warmUp: 2 };

/** What one process took. */
interface Life {
  readonly milliseconds: number;
  /** Undefined where nobody could count it. */
  readonly peakKib: number | undefined;
}

/** Start to end of the tiny guest, and peak memory. */
export const start: Bench = {
  names: {
    start: "a process from its start to its end, for a guest of 13 bytes",
    rss: "the most memory that this process had",
  },
  async run(bench) {
    const c = await bench.c();
    const lives = await interleave(await contestants(bench, c), {
      ...ROUNDS,
      signal: bench.signal,
    });
    const times = new Map([...lives].map(([who, all]) => [who, all.map((l) => l.milliseconds)]));
    const results = resultsOf("start", "ms", times);
    if (c === undefined) return results;
    const peaks = new Map([...lives].map(([who, all]) => [who, all.map((l) => l.peakKib!)]));
    return [...results, ...resultsOf("rss", "KiB", peaks)];
  },
};

async function contestants(
  bench: Workbench,
  c: CPrograms | undefined,
): Promise<Contestant<Life>[]> {
  const guest = await bench.file(tiny);
  const contestant = (subject: Contestant<Life>["subject"], command: string[]) => ({
    subject,
    measure: () => live(command, c?.processTimer, bench.signal),
  });
  return [
    contestant("hvsh", [bench.hvsh, "run", "--flat", guest]),
    ...(c === undefined ? [] : [contestant("c", [c.vmm, "run", guest])]),
    ...await Promise.all(
      peers(bench).map(async (peer) => contestant(peer.subject, await peer.command(() => tiny))),
    ),
  ];
}

/** Runs a process to its end; what the guest printed must be there. */
async function live(
  command: readonly string[],
  timer: string | undefined,
  signal: AbortSignal,
): Promise<Life> {
  const [program, ...args] = timer === undefined ? command : [timer, ...command];
  const started = performance.now();
  const { stdout, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
    signal,
  }).output();
  const elapsed = performance.now() - started;
  let output = new TextDecoder().decode(stdout);
  let life: Life = { milliseconds: elapsed, peakKib: undefined };
  if (timer !== undefined) {
    const end = output.indexOf("\n");
    const [nanoseconds, kib] = output.slice(0, end).split(" ").map(Number);
    life = { milliseconds: nanoseconds! / 1e6, peakKib: kib };
    output = output.slice(end + 1);
  }
  if (!output.includes("A")) {
    const said = new TextDecoder().decode(stderr).trim();
    throw new Error(`The guest in \`${command.join(" ")}\` did not print A: ${said}`);
  }
  return life;
}
