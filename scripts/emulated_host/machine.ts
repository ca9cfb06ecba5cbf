/** The emulated machine: one QEMU process, its control connection and its ports. */
import { findProgram } from "../setup/find_program.ts";
import { Failure } from "./failure.ts";
import { Qmp } from "./qmp.ts";

/** The ports in the order of their numbers inside, /dev/vport0p1 and on. */
const PORTS = ["control", "stdin", "stdout", "stderr", "pulse"] as const;

/**
 * How often the machine gets an interrupt from outside. QEMU 7.2 loses one now and then, as it seems
 * because a #VMEXIT changes the set of pending ones without a lock: the local APIC had the timer's
 * vector in its IRR, interrupts were on, and the processor slept for ever. Any other interrupt makes
 * up for it.
 */
const PULSE_MILLISECONDS = 50;

/** A raw disk image; what is written to a throwaway one is dropped. */
export type Disk = { file: string; access: "read-only" | "throwaway" | "writable" };

const DRIVE = {
  "read-only": "readonly=on",
  throwaway: "snapshot=on,cache=unsafe",
  writable: "cache=unsafe",
};

/** What one machine is made of. Paths are absolute or relative to its folder. */
export type MachineOptions = {
  /** The process's working directory from here on: paths of Unix sockets have 107 bytes. */
  folder: string;
  /** The file that is its memory. */
  ram: string;
  /** Whether it writes into that file or keeps its changes to itself. */
  shareRam: boolean;
  memoryMiB: number;
  /** Disks in the order vda, vdb… */
  disks: Disk[];
  /** Starts a kernel, or waits for a snapshot without one. */
  kernel?: { image: string; initrd: string };
};

/** The kernel's console, in the machine's folder. */
const KERNEL_LOG = "kernel.log";

/**
 * Debian's QEMU and its own machine version, so that a snapshot fits its QEMU. EPYC is the model
 * that TCG emulates well enough for SVM and for Linux guests. There is one processor: with two on
 * threads of their own the kernel inside hung or panicked about once in an hour of tests ("corrupted
 * stack end", and where it patched its code), and two on one thread wait for each other's slices. Two
 * machines at once use two cores.
 */
export const MACHINE = {
  args: "-accel tcg,thread=single -cpu EPYC -smp 1 -M q35,memory-backend=ram -nodefaults " +
    "-no-user-config -display none -no-reboot -qmp stdio " +
    `-serial file:${KERNEL_LOG} -device virtio-serial-pci`,
  // norandmaps: with randomized addresses TCG's translations of one program are used by that
  // one process only, which made everything three to five times slower.
  commandLine: "console=ttyS0 quiet panic=-1 mitigations=off norandmaps",
};

/** A running machine. Disposing of it ends QEMU at once. */
export class Machine implements AsyncDisposable {
  readonly qmp: Qmp;
  readonly ports: Readonly<Record<typeof PORTS[number], Deno.UnixConn>>;
  readonly #process: Deno.ChildProcess;
  readonly #errors: Promise<string>;
  readonly #pulse: ReturnType<typeof setInterval>;

  private constructor(
    process: Deno.ChildProcess,
    qmp: Qmp,
    errors: Promise<string>,
    ports: Record<typeof PORTS[number], Deno.UnixConn>,
  ) {
    this.#process = process;
    this.#errors = errors;
    this.qmp = qmp;
    this.ports = ports;
    const beat = Uint8Array.of(0);
    this.#pulse = setInterval(() => {
      ports.pulse.write(beat).catch(() => clearInterval(this.#pulse)); // it has ended
    }, PULSE_MILLISECONDS);
  }

  /**
   * Starts QEMU and waits until its ports are connected.
   *
   * @param options what it is made of
   * @returns the machine
   * @throws {Failure} with QEMU's last words if it ends before that
   */
  static async start(options: MachineOptions): Promise<Machine> {
    const qemu = findProgram("qemu-system-x86_64");
    if (qemu === undefined) {
      throw new Failure("qemu-system-x86_64 not found; run: deno task setup");
    }
    Deno.chdir(options.folder);
    const listeners = PORTS.map((path) => Deno.listen({ transport: "unix", path }));
    // A QEMU whose starter was killed must not stay behind (prctl(2), PR_SET_PDEATHSIG).
    const setpriv = findProgram("setpriv");
    const [program, ...before] = setpriv ? [setpriv, "--pdeathsig", "KILL", qemu] : [qemu];
    const process = new Deno.Command(program as string, {
      args: [...before, ...qemuArguments(options)],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // In a session of its own ^C does not reach it: this process ends it, and knows why.
      detached: true,
    }).spawn();
    const errors = new Response(process.stderr).text();
    try {
      const connected = Promise.all(listeners.map((listener) => listener.accept()));
      const died = process.status.then(() => undefined);
      const conns = await Promise.race([connected, died]);
      connected.catch(() => {}); // the listeners are closed under it when QEMU died
      if (conns === undefined) throw new Failure(report("QEMU ended", await errors));
      const ports = Object.fromEntries(PORTS.map((port, n) => [port, conns[n]]));
      const qmp = new Qmp(process.stdin, process.stdout);
      return new Machine(process, qmp, errors, ports as Machine["ports"]);
    } finally {
      for (const listener of listeners) listener.close();
    }
  }

  /** Ends QEMU at once. */
  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      return; // it has ended already
    }
  }

  /**
   * Ends QEMU and says why a call failed.
   *
   * @param what the first line
   * @returns it with the last lines of QEMU and of the kernel inside
   */
  async lastWords(what: string): Promise<string> {
    this.kill();
    await this.#process.status;
    return report(what, await this.#errors, await Deno.readTextFile(KERNEL_LOG).catch(() => ""));
  }

  /** @returns the lines in which the kernel inside tells that it ended a process for its memory */
  async outOfMemory(): Promise<string[]> {
    const log = await Deno.readTextFile(KERNEL_LOG);
    return log.split(/\r?\n/).filter((line) => line.includes("Out of memory"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pulse);
    this.kill();
    await this.#process.status;
  }
}

/** What QEMU says about EPYC at each start. */
const USUAL = /^$|warning: TCG doesn't support requested feature/;

/** The line that says why, which a kernel's call trace then pushes up. */
const WHY = /Kernel panic|BUG:|Oops:|Out of memory/;

function report(what: string, ...logs: string[]): string {
  const last = logs.flatMap((log) => {
    const lines = log.split(/\r?\n/).filter((line) => !USUAL.test(line));
    return lines.filter((line, n) => WHY.test(line) || n >= lines.length - 4);
  });
  return [what, ...last].join("\n  ");
}

function qemuArguments({ memoryMiB, ram, shareRam, disks, kernel }: MachineOptions): string[] {
  const share = shareRam ? "on" : "off";
  return [
    ...MACHINE.args.split(" "),
    ...["-m", `${memoryMiB}M`],
    ...["-object", `memory-backend-file,id=ram,size=${memoryMiB}M,mem-path=${ram},share=${share}`],
    ...PORTS.flatMap((port, n) => [
      ...["-chardev", `socket,id=${port},path=${port}`],
      ...["-device", `virtserialport,chardev=${port},nr=${n + 1}`],
    ]),
    ...disks.flatMap(({ file, access }) => [
      "-drive",
      // A comma in a value of QEMU's is doubled.
      `file=${file.replaceAll(",", ",,")},if=virtio,format=raw,${DRIVE[access]}`,
    ]),
    ...(kernel
      ? ["-kernel", kernel.image, "-initrd", kernel.initrd, "-append", MACHINE.commandLine]
      : ["-incoming", "defer"]),
  ];
}
