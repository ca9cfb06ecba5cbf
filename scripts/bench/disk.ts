/**
 * Disks, at the ring: a bare guest's requests through hvsh and QEMU, and the same requests of a
 * program on the host, which is as fast as a disk can be. All go around the page cache, and by turns.
 *
 * @module
 */
import { type Bench, resultsOf } from "./bench.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult, Subject } from "./result.ts";
import { hvshWith, QEMU_MEMFD, qemuWith } from "./ring_hosts.ts";
import { RingVm } from "./ring_vm.ts";
import type { Workbench } from "./workbench.ts";

const ROUNDS = { count: 40, warmUp: 4 };
/** Of one sample: long against one request, short against a neighbour's visit. */
const SLICE_MILLISECONDS = 60;
/** More than a disk's own cache makes fast, with no hole in it. */
const IMAGE_BYTES = 256 * 2 ** 20;
const PIECE = 2 ** 20;
const VIRTIO_BLOCK = 2;

interface Load {
  readonly what: string;
  readonly write: boolean;
  readonly random: boolean;
  readonly bytes: number;
  readonly depth: number;
  /** Through the host's page cache, where the disk's own speed does not matter. */
  readonly cached?: boolean;
}

const small = { random: true, bytes: 4096 };
const large = { random: false, bytes: 2 ** 20, depth: 4 };
const LOADS: Readonly<Record<string, Load>> = {
  "disk-read-4k-d1": { what: "random reads", ...small, write: false, depth: 1 },
  "disk-read-4k-d32": { what: "random reads, 32 at a time", ...small, write: false, depth: 32 },
  "disk-write-4k-d1": { what: "random writes", ...small, write: true, depth: 1 },
  "disk-write-4k-d32": { what: "random writes, 32 at a time", ...small, write: true, depth: 32 },
  "disk-seq-read-1m": { what: "reads in order, 4 at a time", ...large, write: false },
  "disk-seq-write-1m": { what: "writes in order, 4 at a time", ...large, write: true },
  "disk-cached-4k-d1": {
    what: "random reads from the page cache",
    ...small,
    write: false,
    depth: 1,
    cached: true,
  },
  "disk-cached-4k-d32": {
    what: "random reads from the page cache, 32 at a time",
    ...small,
    write: false,
    depth: 32,
    cached: true,
  },
};

/** Disks, one bench a load. */
export const disks: readonly Bench[] = Object.entries(LOADS).map(([name, load]) => ({
  names: { [name]: `a bare guest's disk: ${load.what}` },
  run: (bench, warn) => measure(name, load, bench, warn),
}));

async function measure(
  name: string,
  load: Load,
  bench: Workbench,
  warn: (line: string) => void,
): Promise<BenchResult[]> {
  const programs = await bench.ring();
  if (programs === undefined) {
    warn(`${name} IS LEFT OUT: its guest is made by a C compiler`);
    return [];
  }
  const image = await bench.image(IMAGE_BYTES, PIECE);
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant<number>[] = [];
  const take = async (subject: Subject, command: string[]) => {
    const vm = stack.use(await RingVm.start(subject, command, bench.signal));
    await vm.ask(`open ${VIRTIO_BLOCK} 1 0`);
    contestants.push({ subject, measure: async () => rate(load, await vm.work(order(load, vm))) });
  };
  const { firmware } = programs;
  const direct = load.cached ? "" : " --direct";
  await take("hvsh", hvshWith(bench, firmware, ["--disk", `${image}${direct}`]));
  if (bench.qemu !== undefined) {
    const device = qemuDisk(image, load);
    await take("qemu", qemuWith(bench.qemu, firmware, device));
    // Large requests depend on how large the pages are that they go to.
    if (load.bytes > 4096) {
      await take("qemu-memfd", qemuWith(bench.qemu, firmware, [...device, ...QEMU_MEMFD]));
    }
  }
  if (!load.cached) {
    contestants.push({ subject: "host", measure: () => onHost(programs.probe, image, load) });
  }
  const samples = await interleave(contestants, { ...ROUNDS, signal: bench.signal });
  return resultsOf(name, load.random ? "requests/s" : "MB/s", samples);
}

function qemuDisk(image: string, { cached }: Load): string[] {
  const cache = cached ? "writeback" : "none";
  return [
    ...["-object", "iothread,id=io0"],
    ...[
      "-drive",
      `if=none,id=disk0,file=${image},format=raw,file.locking=off,cache=${cache},aio=io_uring`,
    ],
    ...["-device", "virtio-blk-pci,drive=disk0,disable-legacy=on,iothread=io0"],
  ];
}

function order({ write, random, bytes, depth }: Load, vm: RingVm): string {
  const ticks = vm.ticks(SLICE_MILLISECONDS);
  return `disk ${Number(write)} ${Number(random)} ${bytes} ${depth} ${ticks}`;
}

function rate({ random, bytes }: Load, work: { count: number; seconds: number }): number {
  return work.count / work.seconds * (random ? 1 : bytes / 1e6);
}

async function onHost(probe: string, image: string, load: Load): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(probe, {
    args: [
      ...["disk", image, load.write ? "write" : "read", load.random ? "random" : "sequential"],
      ...[String(load.bytes), String(load.depth), String(SLICE_MILLISECONDS / 1000)],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  const { requests, seconds } = JSON.parse(new TextDecoder().decode(stdout));
  return rate(load, { count: requests, seconds });
}
