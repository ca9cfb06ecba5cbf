/**
 * States of VMs on their way through a pipe: how fast its reader gets them, how long a guest stands for
 * it, and how soon a restored one runs.
 *
 * @module
 */
import { type Bench, resultsOf } from "./bench.ts";
import { firmware, SERIAL_PORT } from "./guests.ts";
import { type Contestant, interleave } from "./interleave.ts";
import { type Content, HvshVm, incomingQemu, QemuVm, soon } from "./live_vms.ts";
import type { BenchResult } from "./result.ts";
import type { Workbench } from "./workbench.ts";

const MIB = 2 ** 20;
const RATE = "snapshot-stream";
const PAUSE = "snapshot-pause";
const SIZES = { "64M": 64 * MIB, "1G": 1024 * MIB, "12G": 12 * 1024 * MIB };
const restoreName = (size: string) => `restore-${size}`;
const RATE_ROUNDS = { count: 10, warmUp: 1 };
const PAUSE_ROUNDS = { count: 6, warmUp: 1 };
const RESTORE_ROUNDS = { count: 8, warmUp: 1 };
/** Bytes of memory, and how many of them are no zeros. */
const STREAMED = { memory: 600 * MIB, filled: 512 * MIB };
const PAUSED = { memory: 300 * MIB, filled: 256 * MIB };
const RESTORED = 32 * MIB;

/** Where a guest counts. */
const COUNTER = 0x8000;
/** A real-mode guest that counts, in 32 bits. */
const COUNTING = Uint8Array.of(
  ...[0x66, 0xff, 0x06, COUNTER & 0xff, COUNTER >>> 8], // 1: inc dword [0x8000]
  ...[0xeb, 0xf9], // jmp 1b
);
/** One that writes to its serial port all the time. */
const WRITING = Uint8Array.of(
  ...[0xba, SERIAL_PORT & 0xff, SERIAL_PORT >>> 8], // mov dx, 0x3f8
  ...[0xb0, 0x41], // mov al, 'A'
  0xee, // 1: out dx, al
  ...[0xeb, 0xfd], // jmp 1b
);

/** Streams of states, beside QEMU's. */
export const streams: Bench = {
  names: {
    [RATE]: "`snapshot` of a paused VM with 512 MiB that are no zeros, into a pipe",
    [PAUSE]: "how long a guest stands for `snapshot`, with 256 MiB that are no zeros",
    ...Object.fromEntries(
      Object.keys(SIZES).map((size) => [
        restoreName(size),
        `\`restore\` of a VM of ${size} with 32 MiB that are no zeros, to what its guest does first`,
      ]),
    ),
  },
  async run(bench, _warn, isWanted) {
    const c = await bench.c();
    const results: BenchResult[] = [];
    // Nobody else reads as fast.
    if (isWanted(RATE) && c !== undefined) results.push(...await rates(bench, c.vmm));
    if (isWanted(PAUSE) && c !== undefined) results.push(...await pauses(bench, c.vmm));
    for (const [size, memory] of Object.entries(SIZES)) {
      if (!isWanted(restoreName(size))) continue;
      results.push(...await restores(bench, restoreName(size), memory));
    }
    return results;
  },
};

async function contentOf(
  bench: Workbench,
  guest: Uint8Array<ArrayBuffer>,
  sizes: { readonly memory: number; readonly filled: number },
): Promise<Content> {
  return { ...sizes, guest: await bench.file(guest), firmware: await bench.file(firmware(guest)) };
}

async function rates(bench: Workbench, reader: string): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const content = await contentOf(bench, COUNTING, STREAMED);
  const vm = stack.use(await HvshVm.start(bench, content));
  const figures = await bench.file(new Uint8Array(0));
  const contestants: Contestant<number>[] = [{
    subject: "hvsh",
    async measure() {
      await vm.line(`"$HVSH" snapshot ${vm.name} | ${reader} drain ${figures}`);
      return rateIn(figures);
    },
  }];
  if (bench.qemu !== undefined) {
    const qemu = stack.use(await QemuVm.start(bench, bench.qemu, content));
    contestants.push({
      subject: "qemu",
      async measure() {
        await qemu.execute("migrate", { uri: `exec:${reader} drain ${figures}` });
        const rate = await appeared(figures, bench.signal);
        await qemu.settled();
        // It takes one migration of a state.
        await qemu.execute("cont");
        await qemu.execute("stop");
        return rate;
      },
    });
  }
  const rounds = { ...RATE_ROUNDS, signal: bench.signal };
  return resultsOf(RATE, "MB/s", await interleave(contestants, rounds));
}

async function pauses(bench: Workbench, reader: string): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const content = await contentOf(bench, COUNTING, PAUSED);
  const vm = stack.use(await HvshVm.start(bench, content));
  const memory = await vm.memoryFile();
  const figures = await bench.file(new Uint8Array(0));
  const contestants: Contestant<number>[] = [{
    subject: "hvsh",
    async measure() {
      await vm.line(`"$HVSH" resume ${vm.name}`);
      const line = `"$HVSH" snapshot ${vm.name} | ${reader} drain ${figures}`;
      const longest = await longestStand(memory, () => vm.line(line));
      await vm.line(`"$HVSH" pause ${vm.name}`); // or it would take the time of the next one
      return longest;
    },
  }];
  if (bench.qemu !== undefined) {
    const qemu = stack.use(await QemuVm.start(bench, bench.qemu, content));
    contestants.push({
      subject: "qemu",
      async measure() {
        await qemu.execute("cont");
        const longest = await longestStand(qemu.memory, async () => {
          await qemu.execute("stop");
          await qemu.execute("migrate", { uri: `exec:${reader} drain ${figures}` });
          await appeared(figures, bench.signal);
          await qemu.settled();
          await qemu.execute("cont");
        });
        await qemu.execute("stop");
        return longest;
      },
    });
  }
  const rounds = { ...PAUSE_ROUNDS, signal: bench.signal };
  return resultsOf(PAUSE, "ms", await interleave(contestants, rounds));
}

/** Milliseconds of the longest time for which a guest did not count while something was done. */
async function longestStand(memory: string, work: () => Promise<unknown>): Promise<number> {
  using file = await Deno.open(memory);
  const word = new Uint8Array(4);
  const count = () => {
    file.seekSync(COUNTER, Deno.SeekMode.Start);
    file.readSync(word);
    return new DataView(word.buffer).getUint32(0, true);
  };
  let seen = count();
  let last = performance.now();
  let longest = 0;
  let done = false;
  const working = work().finally(() => done = true);
  working.catch(() => {}); // which is told of below
  for (let goesOn = true; goesOn;) {
    await soon();
    const now = performance.now();
    const counted = count();
    if (counted === seen) continue;
    longest = Math.max(longest, now - last);
    [seen, last] = [counted, now];
    goesOn = !done;
  }
  await working;
  return longest;
}

async function restores(bench: Workbench, name: string, memory: number): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const content = await contentOf(bench, WRITING, { memory, filled: RESTORED });
  const folder = await Deno.makeTempDir({ prefix: "hvsh-bench." });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const [stream, mapped, saved] = [`${folder}/vm.tar`, `${folder}/vm`, `${folder}/vm.qemu`];
  {
    await using vm = await HvshVm.start(bench, content);
    await vm.line(`"$HVSH" snapshot ${vm.name} > ${stream}`);
    await vm.line(`"$HVSH" snapshot ${vm.name} -o ${mapped}/`);
  }
  const contestant = (subject: BenchResult["subject"], command: string[]) => ({
    subject,
    measure: () => firstWord(command, bench.signal),
  });
  const contestants = [
    contestant("hvsh", ["sh", "-c", `cat ${stream} | exec "${bench.hvsh}" restore`]),
    contestant("hvsh-lazy", ["sh", "-c", `cat ${stream} | exec "${bench.hvsh}" restore --lazy`]),
    contestant("hvsh-mapped", [bench.hvsh, "restore", mapped]),
  ];
  if (bench.qemu !== undefined) {
    await using qemu = await QemuVm.start(bench, bench.qemu, content);
    await qemu.execute("cont");
    await qemu.execute("migrate", { uri: `exec:cat > ${saved}` });
    await qemu.settled();
    contestants.push(contestant("qemu", incomingQemu(bench.qemu, content, saved)));
  }
  const rounds = { ...RESTORE_ROUNDS, signal: bench.signal };
  return resultsOf(name, "ms", await interleave(contestants, rounds));
}

/** Milliseconds from a process's start to the first byte that it writes; it is killed then. */
async function firstWord(
  [program, ...args]: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const started = performance.now();
  const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const process = new Deno.Command(program!, { args, signal, ...streams }).spawn();
  const said = new Response(process.stderr).text();
  const reader = process.stdout.getReader();
  const { done } = await reader.read();
  const taken = performance.now() - started;
  if (done) throw new Error(`${program} ${args.join(" ")} wrote nothing: ${(await said).trim()}`);
  process.kill("SIGKILL");
  await reader.cancel();
  await process.status;
  await said;
  return taken;
}

/** MB a second of what `c_vmm drain` wrote; the file is empty then. */
function rateIn(path: string): number {
  const [nanoseconds, bytes] = Deno.readTextFileSync(path).split(" ").map(Number);
  Deno.truncateSync(path);
  return bytes! / nanoseconds! * 1000;
}

async function appeared(path: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    const text = await Deno.readTextFile(path);
    if (text.endsWith("\n")) return rateIn(path);
    await soon();
  }
}
