/**
 * A paused VM's state, into a pipe: how fast the reader of the pipe gets it.
 *
 * @module
 */
import { Qmp } from "../emulated_host/qmp.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { Workbench } from "./workbench.ts";

const NAME = "snapshot-stream";
const ROUNDS = { count: 10, warmUp: 1 };
/** Bytes of memory with something in them, and of memory. */
const FILLED = 2 ** 29;
const MEMORY = 600;
const MIB = 2 ** 20;
/** jmp $ */
const SPIN = Uint8Array.of(0xeb, 0xfe);
const VM = "stream";

/** Streams of states, beside QEMU's. */
export const streams: Bench = {
  names: { [NAME]: "`snapshot` of a paused VM with 512 MiB that are no zeros, into a pipe" },
  async run(bench) {
    const c = await bench.c();
    if (c === undefined) return []; // nobody reads as fast
    await using stack = new AsyncDisposableStack();
    const contestants = [await hvsh(bench, c.vmm, stack)];
    if (bench.qemu !== undefined) {
      contestants.push(await qemu(bench, bench.qemu, c.vmm, stack));
    }
    return resultsOf(
      NAME,
      "MB/s",
      await interleave(contestants, { ...ROUNDS, signal: bench.signal }),
    );
  },
};

async function hvsh(
  bench: Workbench,
  reader: string,
  stack: AsyncDisposableStack,
): Promise<Contestant<number>> {
  const runtime = await Deno.makeTempDir({ prefix: "hvsh-bench." });
  stack.defer(() => Deno.remove(runtime, { recursive: true }));
  const line = async (text: string) => {
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", text],
      env: { XDG_RUNTIME_DIR: runtime, HVSH: bench.hvsh, READER: reader },
      signal: bench.signal,
    }).output();
    if (!success) throw new Error(`${text}: ${new TextDecoder().decode(stderr).trim()}`);
  };
  const guest = await bench.file(SPIN);
  await line(`"$HVSH" run -d --paused -n ${VM} -m ${MEMORY}M --flat ${guest}`);
  stack.defer(() => line(`"$HVSH" kill ${VM}`));
  await line(`head -c ${FILLED} /dev/urandom | "$HVSH" mem write ${VM} ${MIB}`);
  const figures = `${runtime}/figures`;
  return {
    subject: "hvsh",
    async measure() {
      await line(`"$HVSH" snapshot ${VM} | "$READER" drain ${figures}`);
      return rateIn(figures);
    },
  };
}

async function qemu(
  bench: Workbench,
  program: string,
  reader: string,
  stack: AsyncDisposableStack,
): Promise<Contestant<number>> {
  const memory = `/dev/shm/hvsh-bench.${Deno.pid}`;
  const figures = `${memory}.figures`;
  stack.defer(() => Deno.remove(memory));
  using file = await Deno.open(memory, { write: true, createNew: true });
  await file.truncate(MEMORY * MIB);
  const piece = new Uint8Array(65536);
  for (let at = 0; at < FILLED; at += piece.length) {
    await file.write(crypto.getRandomValues(piece));
  }
  const process = new Deno.Command(program, {
    args: [
      ...["-M", "microvm,memory-backend=ram", "-accel", "kvm", "-m", `${MEMORY}M`, "-S"],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio"],
      ...["-object", `memory-backend-file,id=ram,size=${MEMORY}M,mem-path=${memory},share=off`],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    signal: bench.signal,
  }).spawn();
  const qmp = new Qmp(process.stdin, process.stdout);
  await qmp.open();
  stack.defer(async () => {
    await qmp.execute("quit");
    await process.status;
  });
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": 10 ** 12 });
  return {
    subject: "qemu",
    async measure() {
      await qmp.execute("migrate", { uri: `exec:${reader} drain ${figures}` });
      const rate = await appeared(figures, bench.signal);
      // It takes one migration of a state, and a moment to know that it has ended.
      await untilAccepted(() => qmp.execute("cont"), bench.signal);
      await qmp.execute("stop");
      return rate;
    },
  };
}

/** MB a second of what `c_vmm drain` wrote; the file is gone then. */
function rateIn(path: string): number {
  const [nanoseconds, bytes] = Deno.readTextFileSync(path).split(" ").map(Number);
  Deno.removeSync(path);
  return bytes! / nanoseconds! * 1000;
}

async function appeared(path: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    const text = await Deno.readTextFile(path).catch(() => "");
    if (text.endsWith("\n")) return rateIn(path);
    await soon();
  }
}

async function untilAccepted(ask: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch {
      await soon();
    }
  }
}

function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
