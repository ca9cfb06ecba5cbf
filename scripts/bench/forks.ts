/**
 * Copies of a VM inside a process, and VMs from a folder with their memory: from the wish to the first
 * exit, whatever the memory's size.
 *
 * @module
 */
import { create } from "../../mod.ts";
import { stateRecords } from "../../vmm/state/save_stream.ts";
import { forkMachine, type ForkSource, forkSource } from "../../vmm/state/fork.ts";
import { loadFolder } from "../../vmm/state/load_folder.ts";
import { saveMachine } from "../../vmm/state/machine_state.ts";
import { Machine } from "../../vmm/machine.ts";
import { AT_BOOT_SECTOR } from "./guests.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { CServer } from "./c_server.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult, Subject } from "./result.ts";
import type { CPrograms, Workbench } from "./workbench.ts";

const SIZES = { "64M": 2 ** 26, "1G": 2 ** 30, "12G": 12 * 2 ** 30 };
const ROUNDS = { count: 40, warmUp: 5 };
/** Copies that are made and ended for one figure of their rate. */
const BURST = 20;
const RATE_ROUNDS = { count: 8, warmUp: 1 };
const POOL = 10;
const POOL_ROUNDS = 6;
const KIB = 1024;
const WHOLE = "memory";
/** out 0xf4, al; jmp back: as in c_vmm.c. */
const GUEST = Uint8Array.of(0xe6, 0xf4, 0xeb, 0xfc);
/** c_vmm.c with the calls in the usual order, and in hvsh's. */
const ORDERS: readonly (readonly [Subject, string[]])[] = [
  ["c", []],
  ["c-slots-first", ["slots-first"]],
];

/** Nobody wakes who waits for this word. */
const NAP = new Int32Array(new SharedArrayBuffer(4));
const NAP_MILLISECONDS = 0.05;

const forkName = (size: string) => `fork-${size}`;
const mappedName = (size: string) => `mapped-${size}`;
const namesOf = (name: (size: string) => string, what: (size: string) => string) =>
  Object.fromEntries(Object.keys(SIZES).map((size) => [name(size), what(size)]));

/** Copies, with interrupt controllers, beside C that makes the same calls. */
export const forks: Bench = {
  names: {
    ...namesOf(
      forkName,
      (size) => `a copy of a VM with ${size} of memory, made and run to its first exit`,
    ),
    ...namesOf(
      mappedName,
      (size) => `the same for a VM from a folder, with ${size} of memory in a file`,
    ),
    "fork-rate": "copies of a VM with 1G that are made, run and ended, one after the other",
    "fork-ready": "from the wish to the first exit for copies that a pool has made ahead",
    "fork-memory": "what a copy takes of the process's memory, without a thread",
    "fork-memory-thread": "the same with the thread of its vCPU",
  },
  async run(bench, _warn, isWanted) {
    const c = await bench.c();
    const rounds = { ...ROUNDS, signal: bench.signal };
    const results: BenchResult[] = [];
    for (const [size, bytes] of Object.entries(SIZES)) {
      if (isWanted(forkName(size))) {
        await using stack = new AsyncDisposableStack();
        const source = await frozen(bytes, stack);
        const contestants = [
          own(() => firstExit(() => forkMachine(source))),
          ...theirs(bench, c, ["fork", `${bytes}`], stack),
        ];
        results.push(...resultsOf(forkName(size), "ms", await interleave(contestants, rounds)));
      }
      if (isWanted(mappedName(size))) {
        await using stack = new AsyncDisposableStack();
        const folder = await saved(bytes, stack);
        const contestants = [
          own(() => firstExit(() => loadFolder(folder, {}))),
          ...theirs(bench, c, ["mapped", `${folder}/${WHOLE}`], stack),
        ];
        results.push(...resultsOf(mappedName(size), "ms", await interleave(contestants, rounds)));
      }
    }
    if (isWanted("fork-rate")) results.push(...await rate(bench, c));
    if (isWanted("fork-ready")) results.push(...await readyOnes());
    for (const [name, irqchip] of [["fork-memory", false], ["fork-memory-thread", true]] as const) {
      if (isWanted(name)) results.push(...await memoryOfOne(name, irqchip));
    }
    return results;
  },
};

/** The first of two has a thread started, which the second finds idle: forks come one after the other. */
function own(measure: () => Promise<number>): Contestant<number> {
  return {
    subject: "hvsh-in-process",
    async measure() {
      await measure();
      return await measure();
    },
  };
}

function theirs(
  bench: Workbench,
  c: CPrograms | undefined,
  args: readonly string[],
  stack: AsyncDisposableStack,
): Contestant<number>[] {
  if (c === undefined) return [];
  return ORDERS.map(([subject, order]) => {
    const server = stack.use(new CServer(c.vmm, [...args, ...order], bench.signal));
    return { subject, measure: async () => (await server.ask())[0]! / 1e6 };
  });
}

/** A VM that stands before its first instruction. */
async function paused(bytes: number, irqchip = true): Promise<Machine> {
  const { document } = create({ memory: bytes }).flat(GUEST);
  const machine = await Machine.create({ ...document, irqchip });
  machine.start({ paused: true });
  return machine;
}

async function frozen(
  bytes: number,
  stack: AsyncDisposableStack,
  irqchip?: boolean,
): Promise<ForkSource> {
  return stack.use(await forkSource(stack.use(await paused(bytes, irqchip))));
}

/** A folder as `hvsh snapshot -o FOLDER/` writes it, and besides a file with all memory for c_vmm.c. */
async function saved(bytes: number, stack: AsyncDisposableStack): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "hvsh-bench." });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await using machine = await paused(bytes);
  const snapshot = await machine.freeze((inside) => saveMachine(machine, inside));
  const records = stateRecords(snapshot);
  for (const name of ["cpu", "dev", "mem"]) await Deno.mkdir(`${folder}/${name}`);
  for (const [name, value] of [...records.machine, ...records.state]) {
    await Deno.writeTextFile(`${folder}/${name}`, JSON.stringify(value));
  }
  for (const { name, base, size } of snapshot.regions) {
    await memoryFile(`${folder}/mem/${name}`, size, base === 0);
  }
  await memoryFile(`${folder}/${WHOLE}`, bytes, true);
  return folder;
}

async function memoryFile(path: string, size: number, hasGuest: boolean): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  await file.truncate(size);
  if (!hasGuest) return;
  await file.seek(AT_BOOT_SECTOR.address, Deno.SeekMode.Start);
  await file.write(GUEST);
}

/** Milliseconds from the wish to the exit. */
async function firstExit(make: () => Promise<Machine>): Promise<number> {
  const started = performance.now();
  await using machine = await make();
  machine.start();
  // An event loop's turn would be part of the figure; who only spins takes the vCPU's processor.
  while (!machine.stopping) Atomics.wait(NAP, 0, 0, NAP_MILLISECONDS);
  return performance.now() - started;
}

async function rate(bench: Workbench, c: CPrograms | undefined): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const source = await frozen(SIZES["1G"], stack);
  const burst = (one: () => Promise<unknown>) => async () => {
    const started = performance.now();
    for (let i = 0; i < BURST; i++) await one();
    return BURST / (performance.now() - started) * 1000;
  };
  const contestants: Contestant<number>[] = [{
    subject: "hvsh-in-process",
    measure: burst(() => firstExit(() => forkMachine(source))),
  }];
  if (c !== undefined) {
    for (const [subject, order] of ORDERS) {
      const args = ["fork", `${SIZES["1G"]}`, ...order];
      const server = stack.use(new CServer(c.vmm, args, bench.signal));
      contestants.push({ subject, measure: burst(() => server.ask()) });
    }
  }
  const rounds = { ...RATE_ROUNDS, signal: bench.signal };
  return resultsOf("fork-rate", "forks/s", await interleave(contestants, rounds));
}

async function readyOnes(): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const source = await frozen(SIZES["1G"], stack);
  const samples: number[] = [];
  for (let round = 0; round < POOL_ROUNDS; round++) {
    const ready = await copies(source, POOL);
    for (const machine of ready) await machine.warmUp(); // as `ForkPool` does
    for (const machine of ready) samples.push(await firstExit(() => Promise.resolve(machine)));
  }
  return resultsOf("fork-ready", "ms", new Map([["hvsh-in-process", samples.slice(POOL)]]));
}

/** A machine with interrupt controllers has the thread of its vCPU from the start, another one has none yet. */
async function memoryOfOne(name: string, irqchip: boolean): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const source = await frozen(SIZES["1G"], stack, irqchip);
  const samples: number[] = [];
  for (let round = 0; round < POOL_ROUNDS; round++) {
    const before = residentKib();
    const made = await copies(source, POOL);
    if (irqchip) { for (const machine of made) await machine.warmUp(); }
    samples.push((residentKib() - before) / POOL);
    for (const machine of made) stack.use(machine); // or the next ones would have their memory
  }
  return resultsOf(name, "KiB", new Map([["hvsh-in-process", samples.slice(1)]]));
}

function residentKib(): number {
  return Deno.memoryUsage().rss / KIB;
}

async function copies(source: ForkSource, count: number): Promise<Machine[]> {
  const made: Machine[] = [];
  while (made.length < count) made.push(await forkMachine(source));
  return made;
}
