/**
 * Copies of a VM inside a process: from the wish to the copy's first exit, whatever its memory's size.
 *
 * @module
 */
import { create } from "../../mod.ts";
import { forkMachine, type ForkSource, forkSource } from "../../vmm/state/fork.ts";
import { Machine } from "../../vmm/machine.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { CServer } from "./c_server.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult } from "./result.ts";

const SIZES = { "64M": 2 ** 26, "1G": 2 ** 30, "12G": 12 * 2 ** 30 };
const ROUNDS = { count: 40, warmUp: 5 };
const POOL = 10;
const KIB = 1024;
/** out 0xf4, al; jmp back: as in c_vmm.c. */
const GUEST = Uint8Array.of(0xe6, 0xf4, 0xeb, 0xfc);

const forkName = (size: string) => `fork-${size}`;

/** Copies, with interrupt controllers, beside C that makes the same calls. */
export const forks: Bench = {
  names: {
    ...Object.fromEntries(
      Object.keys(SIZES).map((size) => [
        forkName(size),
        `a copy of a VM with ${size} of memory, made and run to its first exit`,
      ]),
    ),
    "fork-ready": "the same for copies that a pool has made ahead",
    "fork-memory": "what a copy takes of the host's memory, beside its thread",
  },
  async run(bench, _warn, isWanted) {
    const results: BenchResult[] = [];
    for (const [size, bytes] of Object.entries(SIZES)) {
      if (!isWanted(forkName(size))) continue;
      await using stack = new AsyncDisposableStack();
      const original = stack.use(await paused(bytes));
      const source = await forkSource(original);
      const contestants: Contestant<number>[] = [{
        subject: "hvsh-in-process",
        measure: () => firstExit(() => forkMachine(source)),
      }];
      const c = await bench.c();
      if (c !== undefined) {
        const server = stack.use(new CServer(c.vmm, ["fork", `${bytes}`], bench.signal));
        contestants.push({ subject: "c", measure: async () => (await server.ask())[0]! / 1e6 });
      }
      const rounds = { ...ROUNDS, signal: bench.signal };
      results.push(...resultsOf(forkName(size), "ms", await interleave(contestants, rounds)));
    }
    if (isWanted("fork-ready")) results.push(...await readyOnes());
    if (isWanted("fork-memory")) results.push(...await memoryOfOne());
    return results;
  },
};

/** A VM that stands before its first instruction. */
async function paused(bytes: number): Promise<Machine> {
  const { document } = create({ memory: bytes }).flat(GUEST);
  const machine = await Machine.create({ ...document, irqchip: true });
  machine.start({ paused: true });
  return machine;
}

/** Milliseconds from the wish to the exit. */
async function firstExit(make: () => Promise<Machine>): Promise<number> {
  const started = performance.now();
  await using machine = await make();
  machine.start();
  while (!machine.stopping); // an event loop's turn would be part of the figure
  return performance.now() - started;
}

async function readyOnes(): Promise<BenchResult[]> {
  await using original = await paused(SIZES["1G"]);
  const source = await forkSource(original);
  const samples: number[] = [];
  for (let round = 0; round < 5; round++) {
    const ready = await copies(source, POOL);
    for (const machine of ready) samples.push(await firstExit(() => Promise.resolve(machine)));
  }
  return resultsOf("fork-ready", "ms", new Map([["hvsh-in-process", samples.slice(POOL)]]));
}

async function memoryOfOne(): Promise<BenchResult[]> {
  await using original = await paused(SIZES["1G"]);
  const source = await forkSource(original);
  for (const machine of await copies(source, POOL)) await machine[Symbol.asyncDispose]();
  const before = Deno.memoryUsage().rss;
  const ready = await copies(source, POOL);
  const taken = (Deno.memoryUsage().rss - before) / KIB / POOL;
  for (const machine of ready) await machine[Symbol.asyncDispose]();
  return resultsOf("fork-memory", "KiB", new Map([["hvsh-in-process", [taken]]]));
}

async function copies(source: ForkSource, count: number): Promise<Machine[]> {
  const made: Machine[] = [];
  while (made.length < count) made.push(await forkMachine(source));
  return made;
}
