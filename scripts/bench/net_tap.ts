/**
 * Taps, at the ring: frames of a bare guest through hvsh and QEMU, and the same frames of a program on
 * the host that has a tap.
 *
 * @module
 */
import { type Bench, resultsOf } from "./bench.ts";
import { FRAME_BYTES, GUEST_MAC, STRANGER_MAC, stray } from "./frames.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult, Subject } from "./result.ts";
import { hvshWith, qemuWith } from "./ring_hosts.ts";
import { RingVm } from "./ring_vm.ts";
import { TapNetwork } from "./tap_network.ts";
import { findProgram } from "../setup/find_program.ts";
import type { Workbench } from "./workbench.ts";

const ROUNDS = { count: 60, warmUp: 5 };
const SLICE_MILLISECONDS = 40;
/** As many as a tap keeps: they wait in it until the measurement begins. */
const RECEIVED = 4096;
const DEPTH = 256;
const HEADER_BYTES = 12;
const BUFFER_BYTES = 2048;
const VIRTIO_NET = 1;
const Queue = { RECEIVE: 0, SEND: 1 } as const;

type Direction = "tx" | "rx";

/** Both ways. */
export const taps: readonly Bench[] = [
  bench("tx", "frames of 1514 bytes from a bare guest to a tap"),
  bench("rx", "frames of 1514 bytes from a tap to a bare guest"),
];

function bench(direction: Direction, what: string): Bench {
  const name = `net-tap-${direction}`;
  return {
    names: { [name]: what },
    run: (workbench, warn) => measure(name, direction, workbench, warn),
  };
}

async function measure(
  name: string,
  direction: Direction,
  bench: Workbench,
  warn: (line: string) => void,
): Promise<BenchResult[]> {
  const programs = await bench.ring();
  if (programs === undefined || Deno.uid() !== 0 || findProgram("ip") === undefined) {
    warn(`${name} IS LEFT OUT: it takes a C compiler, ip and the rights of root`);
    return [];
  }
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await TapNetwork.open(programs.hostNet, bench.signal));
  const contestants: Contestant<number>[] = [];
  const take = async (subject: Subject, tap: string, command: string[]) => {
    const vm = stack.use(await RingVm.start(subject, command, bench.signal));
    await network.up(tap);
    await vm.ask(`open ${VIRTIO_NET} 2 0`);
    await vm.ask(`frame ${stray(STRANGER_MAC).join(" ")}`);
    contestants.push({ subject, measure: () => ofGuest(direction, vm, network, tap) });
  };
  const { firmware } = programs;
  const ours = ["--net", `tap hvsh0 --netns ${network.path} --mac ${GUEST_MAC}`];
  await take("hvsh", "hvsh0", hvshWith(bench, firmware, ours));
  if (bench.qemu !== undefined) {
    await take(
      "qemu",
      "qemu0",
      network.inside(qemuWith(bench.qemu, firmware, [
        ...["-netdev", "tap,id=net0,ifname=qemu0,script=no,downscript=no"],
        ...["-device", `virtio-net-pci,netdev=net0,disable-legacy=on,mac=${GUEST_MAC},romfile=`],
      ])),
    );
  }
  contestants.push({ subject: "host", measure: () => ofHost(direction, network) });
  const samples = await interleave(contestants, { ...ROUNDS, signal: bench.signal });
  return resultsOf(name, "frames/s", samples);
}

async function ofGuest(
  direction: Direction,
  vm: RingVm,
  network: TapNetwork,
  tap: string,
): Promise<number> {
  let order = `send ${Queue.SEND} ${HEADER_BYTES} ${FRAME_BYTES} ${DEPTH} ` +
    vm.ticks(SLICE_MILLISECONDS);
  if (direction === "rx") {
    await network.server.ask(`inject ${tap} ${FRAME_BYTES} ${RECEIVED}`);
    order = `receive ${Queue.RECEIVE} ${BUFFER_BYTES} ${RECEIVED} ${vm.ticks(1000)}`;
  }
  const { count, seconds } = await vm.work(order);
  return count / seconds;
}

async function ofHost(direction: Direction, { server }: TapNetwork): Promise<number> {
  const [count, nanoseconds] = direction === "tx"
    ? await server.ask(`send ${FRAME_BYTES} ${SLICE_MILLISECONDS}`)
    : await server.ask(`receive ${FRAME_BYTES} ${RECEIVED}`);
  return count! / nanoseconds! * 1e9;
}
