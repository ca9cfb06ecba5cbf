/**
 * VMs whose state is taken by benches: hvsh's behind its verbs, QEMU's behind its machine protocol. Both
 * have the same guest, and the same random bytes in their memory.
 *
 * @module
 */
import { Qmp } from "../emulated_host/qmp.ts";
import type { Workbench } from "./workbench.ts";

const MIB = 2 ** 20;
/** What `crypto.getRandomValues` gives at once. */
const PIECE = 65536;
const NAME = "bench";
/** QEMU's devices: no more than a guest of one instruction needs. */
const QEMU_MACHINE = [
  ...["-M", "microvm,pit=off,pic=off,rtc=off,isa-serial=on,memory-backend=ram", "-accel", "kvm"],
  ...["-nodefaults", "-no-user-config", "-display", "none"],
];

/** What is in a VM. */
export interface Content {
  /** Bytes of memory, whole MiB. */
  readonly memory: number;
  /** How many of them are no zeros, from 1 MiB on. */
  readonly filled: number;
  /** The guest: as hvsh has it at 0x7c00, and as firmware. */
  readonly guest: string;
  readonly firmware: string;
}

/** A live VM of hvsh. */
export class HvshVm implements AsyncDisposable {
  /** Its name, for `line`. */
  readonly name: string = NAME;
  readonly #bench: Workbench;
  readonly #environment: Record<string, string>;
  readonly #runtime: string;

  private constructor(bench: Workbench, runtime: string) {
    this.#bench = bench;
    this.#runtime = runtime;
    this.#environment = { XDG_RUNTIME_DIR: runtime, HVSH: bench.hvsh };
  }

  /**
   * Makes one that stands before its first instruction.
   *
   * @param bench Where hvsh is
   * @param content What is in it
   */
  static async start(
    bench: Workbench,
    { memory, filled, guest }: Content,
  ): Promise<HvshVm> {
    const runtime = await Deno.makeTempDir({ prefix: "hvsh-bench." });
    const vm = new HvshVm(bench, runtime);
    await vm.line(`"$HVSH" run -d --paused -n ${NAME} -m ${memory / MIB}M --flat ${guest}`);
    await vm.line(`head -c ${filled} /dev/urandom | "$HVSH" mem write ${NAME} ${MIB}`);
    return vm;
  }

  /**
   * Has a shell carry out a line, with the launcher as `$HVSH` and where its VMs are found.
   *
   * @param text The line
   * @param more Its other variables
   * @returns What it wrote
   * @throws {Error} With its words, if it fails
   */
  async line(text: string, more: Record<string, string> = {}): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", text],
      env: { ...this.#environment, ...more },
      signal: this.#bench.signal,
    }).output();
    if (!success) throw new Error(`${text}: ${new TextDecoder().decode(stderr).trim()}`);
    return new TextDecoder().decode(stdout);
  }

  /** The file with its memory, as others may open it. */
  async memoryFile(): Promise<string> {
    const { pid } = JSON.parse(await this.line(`"$HVSH" status ${NAME} -o json`));
    for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
      const path = `/proc/${pid}/fd/${name}`;
      if (Deno.readLinkSync(path).startsWith("/memfd:hvsh-ram")) return path;
    }
    throw new Error(`The VM's process ${pid} has no memfd`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.line(`"$HVSH" kill ${NAME}`);
    await Deno.remove(this.#runtime, { recursive: true });
  }
}

/** A VM of QEMU that has not started yet. */
export class QemuVm implements AsyncDisposable {
  /** The file with its memory. */
  readonly memory: string;
  readonly #process: Deno.ChildProcess;
  readonly #qmp: Qmp;
  readonly #signal: AbortSignal;

  private constructor(process: Deno.ChildProcess, qmp: Qmp, memory: string, signal: AbortSignal) {
    this.#process = process;
    this.#qmp = qmp;
    this.memory = memory;
    this.#signal = signal;
  }

  /**
   * Makes one.
   *
   * @param bench Where QEMU is
   * @param program QEMU
   * @param content What is in it
   */
  static async start(
    { signal }: Workbench,
    program: string,
    { memory: bytes, filled, firmware }: Content,
  ): Promise<QemuVm> {
    const memory = await Deno.makeTempFile({ prefix: "hvsh-bench.", dir: "/dev/shm" });
    {
      using file = await Deno.open(memory, { write: true });
      await file.truncate(bytes);
      await file.seek(MIB, Deno.SeekMode.Start);
      const piece = new Uint8Array(PIECE);
      for (let at = 0; at < filled; at += PIECE) await file.write(crypto.getRandomValues(piece));
    }
    const size = `${bytes / MIB}M`;
    const process = new Deno.Command(program, {
      args: [
        ...QEMU_MACHINE,
        ...["-m", size, "-S", "-bios", firmware, "-serial", "null", "-qmp", "stdio"],
        ...["-object", `memory-backend-file,id=ram,size=${size},mem-path=${memory},share=on`],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      signal,
    }).spawn();
    const qmp = new Qmp(process.stdin, process.stdout);
    await qmp.open();
    await qmp.execute("migrate-set-parameters", { "max-bandwidth": 10 ** 12 });
    return new QemuVm(process, qmp, memory, signal);
  }

  /**
   * Does what the machine protocol has.
   *
   * @param command Its name
   * @param args Its arguments
   */
  async execute(command: string, args: Record<string, unknown> = {}): Promise<void> {
    await this.#qmp.execute(command, args);
  }

  /** Waits until its state has been taken. */
  async settled(): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        // Which is refused as long as a migration goes on.
        return await this.#qmp.execute("migrate-set-capabilities", { capabilities: [] });
      } catch {
        await soon();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#qmp.execute("quit");
    await this.#process.status;
    await Deno.remove(this.memory);
  }
}

/**
 * The command of a QEMU that takes over what one of the above has saved.
 *
 * @param program QEMU
 * @param content What was in it
 * @param file Where it was saved
 * @returns Program and arguments; the guest's serial port is stdout
 */
export function incomingQemu(
  program: string,
  { memory, firmware }: Content,
  file: string,
): string[] {
  const size = `${memory / MIB}M`;
  return [
    ...[program, ...QEMU_MACHINE, "-m", size, "-bios", firmware, "-serial", "stdio"],
    ...["-object", `memory-backend-ram,id=ram,size=${size}`],
    ...["-incoming", `exec:cat ${file}`],
  ];
}

/** A few milliseconds, after which a file or a state is looked at again. */
export function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
