/**
 * Exits a second: a guest that leaves KVM_RUN again and again for something that is cheap to answer.
 *
 * hvsh and the C VMM run the same bytes in turn, in slices so short that most of them fall between
 * two interruptions by whatever else the machine does. Each times the guest's marks in its own vCPU
 * thread; peers have no mark port, and their serial output is timed as it comes.
 *
 * @module
 */
import { IDLE_MILLISECONDS } from "../../vmm/threads/thread.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { CServer } from "./c_server.ts";
import { AT_BOOT_SECTOR, memoryWrites, type Placement, portWrites, SERIAL_PORT } from "./guests.ts";
import { benchDocument, millisecondsBetweenMarks } from "./in_process.ts";
import { type Contestant, interleave } from "./interleave.ts";
import { millisecondsBetweenMarks as peerMilliseconds, peers } from "./peers.ts";
import type { Workbench } from "./workbench.ts";

/** Exits of one slice: 2 ms where an exit takes 8 us. */
const SLICE = 250;
const ROUNDS = { count: 500, warmUp: 10 };
/** Slices until all code on an exit's way is compiled as well as it will be. */
const WARM_UPS = 60;
/** A peer's slice has a whole process around it, so there are fewer and longer ones. */
const PEER_SLICE = 4000;
const PEER_EVERY = 50;

type Build = (exits: number, placement: Placement) => Uint8Array<ArrayBuffer>;

/** Writes to a port that nobody answers. */
export const pio: Bench = exitBench("pio", "writes to a port that is nobody's", portWrites);
/** Writes to a device that answers. */
export const pioSerial: Bench = exitBench(
  "pio-serial",
  "writes to the serial port's data register",
  (exits, placement) => portWrites(exits, placement, SERIAL_PORT),
);
/** Writes to an address that nobody answers. */
export const mmio: Bench = exitBench("mmio", "writes to an address that is nobody's", memoryWrites);

function exitBench(name: string, what: string, build: Build): Bench {
  return {
    names: { [name]: `exits a second: ${what}` },
    async run(bench) {
      await using stack = new AsyncDisposableStack();
      const samples = await interleave(await contestants(build, bench, stack), {
        ...ROUNDS,
        signal: bench.signal,
      });
      return resultsOf(name, "exits/s", samples);
    },
  };
}

async function contestants(
  build: Build,
  bench: Workbench,
  stack: AsyncDisposableStack,
): Promise<Contestant<number>[]> {
  const guest = build(SLICE, AT_BOOT_SECTOR);
  const found: Contestant<number>[] = [hvsh(guest, false), hvsh(guest, true)];
  const c = await bench.c();
  if (c !== undefined) {
    const server = stack.use(
      new CServer(c.vmm, ["serve", await bench.file(guest)], bench.signal),
    );
    found.push({
      subject: "c",
      measure: async () => rate(SLICE, (await server.ask())[1]! / 1e6),
    });
  }
  for (const peer of peers(bench)) {
    const command = await peer.command((placement) => build(PEER_SLICE, placement));
    found.push({
      subject: peer.subject,
      every: PEER_EVERY,
      measure: async () => rate(PEER_SLICE, await peerMilliseconds(command, bench.signal)),
    });
  }
  return found;
}

function hvsh(guest: Uint8Array, traced: boolean): Contestant<number> {
  const document = benchDocument(guest);
  let used = -Infinity;
  return {
    subject: traced ? "hvsh-traced" : "hvsh-in-process",
    async measure() {
      // A thread that was idle for long is gone, and the next one's code is not compiled yet.
      if (performance.now() - used > IDLE_MILLISECONDS / 2) {
        for (let i = 0; i < WARM_UPS; i++) await millisecondsBetweenMarks(document, traced);
      }
      const sample = rate(SLICE, await millisecondsBetweenMarks(document, traced));
      used = performance.now();
      return sample;
    },
  };
}

function rate(exits: number, milliseconds: number): number {
  return exits / milliseconds * 1000;
}
