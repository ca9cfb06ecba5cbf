/**
 * Disks and networks as programs in a Linux guest have them, and beside it the same program on the
 * host: what is between them is the guest's kernel and hvsh.
 *
 * @module
 */
import { guestPath, hasGuest } from "../setup/guests.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { hasHardwareKvm, inEmulatedHost } from "./emulated.ts";
import { type Contestant, interleave } from "./interleave.ts";
import { LinuxVm } from "./linux_vm.ts";
import type { BenchResult, Unit } from "./result.ts";
import type { Workbench } from "./workbench.ts";

const ROUNDS = { count: 5, warmUp: 1 };
const SECONDS = 0.3;
const IMAGE_BYTES = 64 * 2 ** 20;
const PIECE = 2 ** 20;
const GUEST_DISK = "/dev/vda";
/** Any that is free: nothing else of the emulated host listens. */
const PORT = 5201;
const TAP = { host: "10.9.0.1", guest: "10.9.0.2" } as const;
const USER = { host: "10.0.2.2", guest: "10.0.2.15" } as const;
/** What the host's own connections go by. */
const LOOPBACK = "127.0.0.1";

/** One thing to measure, in a guest and on the host. */
interface Load {
  readonly what: string;
  readonly unit: Unit;
  /** Takes a sample of each. */
  guest(vm: LinuxVm): Promise<number>;
  host(image: string): Promise<number>;
}

const LOADS: Readonly<Record<string, Load>> = {
  "linux-disk-read-4k-d1": disk("random reads", "read random 4096 1"),
  "linux-disk-read-4k-d32": disk("random reads, 32 at a time", "read random 4096 32"),
  "linux-disk-write-4k-d1": disk("random writes", "write random 4096 1"),
  "linux-disk-write-4k-d32": disk("random writes, 32 at a time", "write random 4096 32"),
  "linux-disk-seq-read-1m": disk("reads in order, 4 at a time", "read sequential 1048576 4"),
  "linux-disk-seq-write-1m": disk("writes in order, 4 at a time", "write sequential 1048576 4"),
  "linux-net-tap-tx": stream("TCP to the host by a tap", TAP.host, "tx"),
  "linux-net-tap-rx": stream("TCP from the host by a tap", TAP.host, "rx"),
  "linux-net-user-tx": stream("TCP to the host by user networking", USER.host, "tx"),
  "linux-net-user-rx": stream("TCP from the host by user networking", USER.host, "rx"),
};
const NAMES = Object.keys(LOADS);

/** All of them, in one guest. */
export const linuxDevices: Bench = {
  names: Object.fromEntries(NAMES.map((name) => [name, `in a Linux guest: ${LOADS[name]!.what}`])),
  async run(bench, warn, isWanted) {
    const missing = (["vmlinuz", "initramfs.cpio", "devices.cpio", "probe"] as const)
      .find((name) => !hasGuest(name));
    if (missing !== undefined) {
      warn(`linux-* ARE LEFT OUT: there is no ${missing}; run: deno task setup`);
      return [];
    }
    const wanted = NAMES.filter(isWanted);
    if (!hasHardwareKvm()) return await inEmulatedHost(wanted, bench.signal, warn);
    return await measure(wanted, bench);
  },
};

async function measure(names: readonly string[], bench: Workbench): Promise<BenchResult[]> {
  const image = await bench.image(IMAGE_BYTES, PIECE);
  await using vm = await LinuxVm.start(bench, [
    ...["--disk", `${image} --direct`],
    ...["--net", `tap hvsh0 --address ${TAP.host}/24`, "--net", "user"],
  ]);
  await vm.ask(`ip link set eth0 up; ip addr add ${TAP.guest}/24 dev eth0`);
  await vm.ask(`ip link set eth1 up; ip addr add ${USER.guest}/24 dev eth1`);
  const results: BenchResult[] = [];
  for (const name of names) {
    const load = LOADS[name]!;
    const contestants: Contestant<number>[] = [
      { subject: "hvsh", measure: () => load.guest(vm) },
      { subject: "host", measure: () => load.host(image) },
    ];
    const samples = await interleave(contestants, { ...ROUNDS, signal: bench.signal });
    results.push(...resultsOf(name, load.unit, samples));
  }
  return results;
}

function disk(what: string, words: string): Load {
  const random = words.includes("random");
  const rate = (answer: string) => {
    const figures = figuresIn(answer);
    return random ? figures.requests_per_second! : figures.bytes_per_second! / 1e6;
  };
  return {
    what,
    unit: random ? "requests/s" : "MB/s",
    guest: async (vm) => rate(await vm.ask(`probe disk ${GUEST_DISK} ${words} ${SECONDS}`)),
    host: async (image) => rate(await probe(["disk", image, ...words.split(" "), `${SECONDS}`])),
  };
}

/** The side that reads has the figures, since what was written may still be on its way. */
function stream(what: string, host: string, direction: "tx" | "rx"): Load {
  const listening = `tcp-listen:${PORT}`;
  const rate = (answer: string) => figuresIn(answer).bytes_per_second! / 1e6;
  const between = async (there: (endpoint: string) => Promise<string>, address: string) => {
    const [here, answer] = await Promise.all([
      probe(direction === "tx" ? ["sink", listening] : ["source", listening, `${SECONDS}`]),
      there(`tcp:${address}:${PORT}`),
    ]);
    return rate(direction === "tx" ? here : answer);
  };
  const words = (endpoint: string) =>
    direction === "tx" ? ["source", endpoint, `${SECONDS}`] : ["sink", endpoint];
  return {
    what,
    unit: "MB/s",
    // Whoever listens may not be up yet.
    guest: (vm) =>
      between(
        (endpoint) =>
          vm.ask(`until probe ${words(endpoint).join(" ")} 2>/dev/null; do usleep 20000; done`),
        host,
      ),
    host: () => between((endpoint) => untilItWorks(words(endpoint)), LOOPBACK),
  };
}

function figuresIn(answer: string): Record<string, number> {
  try {
    return JSON.parse(answer);
  } catch {
    throw new Error(`The guest's probe says: ${answer}`);
  }
}

async function untilItWorks(words: string[]): Promise<string> {
  for (;;) {
    const { success, stdout } = await run(words);
    if (success) return new TextDecoder().decode(stdout);
  }
}

async function probe(words: string[]): Promise<string> {
  const { success, stdout, stderr } = await run(words);
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return new TextDecoder().decode(stdout);
}

function run(args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command(guestPath("probe"), { args, stdin: "null" }).output();
}
