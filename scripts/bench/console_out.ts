/**
 * Consoles, at the ring: bytes that a bare guest writes to a port of a virtio console, and to a serial
 * port, which costs an exit each.
 *
 * @module
 */
import { type Bench, resultsOf } from "./bench.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult, Subject } from "./result.ts";
import { hvshWith, qemuWith } from "./ring_hosts.ts";
import { RingVm } from "./ring_vm.ts";
import type { Workbench } from "./workbench.ts";

const ROUNDS = { count: 40, warmUp: 4 };
const SLICE_MILLISECONDS = 40;
/** Of a buffer: what Linux gives to a port at once, at most. */
const BUFFER_BYTES = 4096;
const DEPTH = 32;
const SERIAL_BYTES = 2000;
const VIRTIO_CONSOLE = 3;
const MULTIPORT = 1 << 1;
const Queue = { CONTROL_SEND: 3, PORT_1_SEND: 5, COUNT: 6 } as const;
/** virtio 1.2 §5.3.6.2: port, event, value. */
const Control = { DEVICE_READY: 0, PORT_READY: 3, PORT_OPEN: 6, BYTES: 8 } as const;
/** Where the bytes go: what a real sink costs is not the VMM's. */
const SINK = "/dev/null";

interface Way {
  /** Gets the guest ready. */
  open(vm: RingVm): Promise<void>;
  /** What it is asked to do. */
  order(vm: RingVm): string;
  /** Bytes of each thing that it counts. */
  readonly bytes: number;
}

const PORT: Way = {
  async open(vm) {
    await vm.ask(`open ${VIRTIO_CONSOLE} ${Queue.COUNT} ${MULTIPORT}`);
    for (
      const [port, event] of [[-1, "DEVICE_READY"], [1, "PORT_READY"], [1, "PORT_OPEN"]] as const
    ) {
      const message = new DataView(new ArrayBuffer(Control.BYTES));
      message.setInt32(0, port, true);
      message.setUint16(4, Control[event], true);
      message.setUint16(6, 1, true);
      await vm.ask(`frame ${new Uint8Array(message.buffer).join(" ")}`);
      await vm.ask(`send ${Queue.CONTROL_SEND} 0 ${Control.BYTES} 1 0`);
    }
  },
  order: (vm) =>
    `send ${Queue.PORT_1_SEND} 0 ${BUFFER_BYTES} ${DEPTH} ${vm.ticks(SLICE_MILLISECONDS)}`,
  bytes: BUFFER_BYTES,
};
const SERIAL: Way = {
  open: () => Promise.resolve(),
  order: () => `serial ${SERIAL_BYTES}`,
  bytes: 1,
};

/** Output. */
export const consoles: readonly Bench[] = [
  bench("console-out", "bytes of a bare guest to a port of a virtio console", PORT),
  bench("serial-out", "bytes of a bare guest to the serial port, from ring 3", SERIAL),
];

function bench(name: string, what: string, way: Way): Bench {
  return {
    names: { [name]: what },
    run: (workbench, warn) => measure(name, way, workbench, warn),
  };
}

async function measure(
  name: string,
  way: Way,
  bench: Workbench,
  warn: (line: string) => void,
): Promise<BenchResult[]> {
  const programs = await bench.ring();
  if (programs === undefined) {
    warn(`${name} IS LEFT OUT: its guest is made by a C compiler`);
    return [];
  }
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant<number>[] = [];
  const take = async (subject: Subject, command: string[]) => {
    const vm = stack.use(await RingVm.start(subject, command, bench.signal));
    await way.open(vm);
    contestants.push({
      subject,
      async measure() {
        const { count, seconds } = await vm.work(way.order(vm));
        return count * way.bytes / seconds / 1e6;
      },
    });
  };
  const { firmware } = programs;
  await take("hvsh", hvshWith(bench, firmware, ["--console", `--port out=write:${SINK}`]));
  if (bench.qemu !== undefined) {
    await take(
      "qemu",
      qemuWith(bench.qemu, firmware, [
        ...["-device", "virtio-serial-pci,disable-legacy=on"],
        ...[
          "-chardev",
          `file,id=out,path=${SINK}`,
          "-device",
          "virtserialport,chardev=out,name=out",
        ],
      ]),
    );
  }
  return resultsOf(
    name,
    "MB/s",
    await interleave(contestants, { ...ROUNDS, signal: bench.signal }),
  );
}
