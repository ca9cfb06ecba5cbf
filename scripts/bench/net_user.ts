/**
 * User networking, at the ring: datagrams between a bare guest and a program on the host, through
 * hvsh's networks and QEMU's own.
 *
 * @module
 */
import { findProgram } from "../setup/find_program.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { CServer } from "./c_server.ts";
import { datagram, FRAME_BYTES, GUEST_MAC, routerQuestion } from "./frames.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult, Subject } from "./result.ts";
import { hvshWith, qemuWith } from "./ring_hosts.ts";
import { RingVm } from "./ring_vm.ts";
import type { Workbench } from "./workbench.ts";

const ROUNDS = { count: 40, warmUp: 4 };
const SLICE_MILLISECONDS = 40;
const DEPTH = 128;
const HEADER_BYTES = 12;
const VIRTIO_NET = 1;
const SEND_QUEUE = 1;
/** Frames that one question is answered with; two answers are on their way. */
const BATCH = 32;
const FETCHED = 1024;
/** Of hvsh's and of QEMU's networks alike; both have 10.0.2.2 there. */
const ROUTER_MAC = "52:55:0a:00:02:02";

type Direction = "tx" | "rx";

/** Both ways, with whatever makes the user network. */
export const userNetworks: readonly Bench[] = [
  bench("tx", "datagrams from a bare guest that the host's program gets, by user networking"),
  bench("rx", "datagrams from a program on the host to a bare guest, by user networking"),
];

function bench(direction: Direction, what: string): Bench {
  const name = `net-user-${direction}`;
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
  if (programs === undefined) {
    warn(`${name} IS LEFT OUT: its guest is made by a C compiler`);
    return [];
  }
  await using stack = new AsyncDisposableStack();
  const server = stack.use(new CServer(programs.hostNet, ["udp"], bench.signal));
  const port = Number(await server.hear());
  const question = datagram(port, ROUTER_MAC, [direction === "tx" ? 0 : BATCH]);
  const contestants: Contestant<number>[] = [];
  const take = async (subject: Subject, command: string[]) => {
    const vm = stack.use(await RingVm.start(subject, command, bench.signal));
    await vm.ask(`open ${VIRTIO_NET} 2 0`);
    await vm.ask(`frame ${routerQuestion().join(" ")}`);
    await vm.ask(`greet ${HEADER_BYTES}`);
    await vm.ask(`frame ${question.join(" ")}`);
    contestants.push({ subject, measure: () => sample(direction, vm, server) });
  };
  const { firmware } = programs;
  const ours = (backend: string) =>
    hvshWith(bench, firmware, ["--net", `${backend} --mac ${GUEST_MAC}`]);
  await take("hvsh-slirp", ours("slirp"));
  if (findProgram("passt") !== undefined) await take("hvsh-passt", ours("passt"));
  else warn(`no passt on PATH: it is left out of ${name}`);
  if (bench.qemu !== undefined) {
    await take(
      "qemu",
      qemuWith(bench.qemu, firmware, [
        ...["-netdev", "user,id=net0"],
        ...["-device", `virtio-net-pci,netdev=net0,disable-legacy=on,mac=${GUEST_MAC},romfile=`],
      ]),
    );
  }
  const samples = await interleave(contestants, { ...ROUNDS, signal: bench.signal });
  return resultsOf(name, "frames/s", samples);
}

async function sample(direction: Direction, vm: RingVm, server: CServer): Promise<number> {
  if (direction === "rx") {
    const { count, seconds } = await vm.work(
      `fetch ${HEADER_BYTES} ${FRAME_BYTES} ${BATCH} ${FETCHED} ${vm.ticks(2000)}`,
    );
    return count / seconds;
  }
  await server.ask();
  const { seconds } = await vm.work(
    `send ${SEND_QUEUE} ${HEADER_BYTES} ${FRAME_BYTES} ${DEPTH} ${vm.ticks(SLICE_MILLISECONDS)}`,
  );
  const [came] = await server.ask();
  return came! / seconds;
}
