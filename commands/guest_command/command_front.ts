/**
 * The front of a VM that runs one command: its streams are the command's, what the kernel says is kept
 * for when something goes wrong, and its end is the command's.
 *
 * @module
 */
import { writeNow } from "../../ffi/descriptor_io.ts";
import { errnoName } from "../../ffi/errno.ts";
import { VmError } from "../../ffi/errors.ts";
import type { InitStep } from "../../vmm/boot/guest_init/guest_command.ts";
import { FAILURE_MARK } from "../../vmm/boot/guest_init/init_rows.ts";
import type { DeviceEvent } from "../../vmm/device.ts";
import { ExitStatus, type VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";
import { explainEnd, showLines } from "../live/explain_end.ts";
import { LastLines } from "../live/last_lines.ts";
import type { Front } from "../live/run_machine.ts";
import { consoleInput } from "../live/terminal.ts";
import type { VerbContext } from "../verb.ts";
import type { KernelDrivers } from "./kernel_drivers.ts";

/** Where {@linkcode FAILURE_MARK} comes from. */
const DEBUG_CONSOLE = "debug_console";
const SIGPIPE_STATUS = 141;
const STDERR = 2;
/** What a kernel says that panics for it has found no first process. */
const NO_INIT = /Unable to mount root fs|No working init found|Requested init \S+ failed/;
/** What it begins to tell of a fault with. */
const FAULT = /\b(BUG: |Oops: |general protection fault|Kernel panic - )/;
const KEPT_LINES = 200;
const SHOWN_LINES = 40;
const USUAL_LINES = 10;

/** What a front has to know of its VM. */
export interface CommandFacts {
  /** The console whose ports are the command's streams. */
  readonly device: string;
  /** Its stdin and stdout are the console's terminal. */
  readonly terminal: boolean;
  /** What the first process may say that it could not do. */
  readonly steps: readonly InitStep[];
  /** What was loaded into the kernel. */
  readonly drivers: KernelDrivers;
  /** Show what the kernel says. */
  readonly verbose: boolean;
  /** Seconds until the VM is ended. */
  readonly timeout?: number;
  /** Stdin is not taken by a document. */
  readonly stdinFree: boolean;
}

/** The streams and the end of a VM that runs one command. */
export class CommandFront implements Front {
  readonly #facts: CommandFacts;
  readonly #context: VerbContext;
  readonly #last = new LastLines();
  /** The end of what the debug console has said. */
  #told: Uint8Array = new Uint8Array();
  #unread = false;

  /**
   * @param facts What the VM is
   * @param context Where the verb runs
   */
  constructor(facts: CommandFacts, context: VerbContext) {
    this.#facts = facts;
    this.#context = context;
  }

  get input(): Front["input"] {
    if (!this.#facts.terminal) return undefined; // a port of the console has it
    const from = consoleInput(this.#facts.stdinFree, this.#context);
    return from && { from, to: this.#facts.device };
  }

  output(bytes: Uint8Array<ArrayBuffer>, device: string): void | Promise<void> {
    if (device === this.#facts.device) return this.#context.write(bytes);
    if (device === DEBUG_CONSOLE) {
      const told = new Uint8Array([...this.#told, ...bytes.subarray(-FAILURE_MARK.length - 2)]);
      this.#told = told.subarray(-FAILURE_MARK.length - 2);
      return;
    }
    this.#last.push(bytes);
    if (this.#facts.verbose) writeNow(this.#context.stderr ?? STDERR, bytes);
  }

  begin(machine: Machine): Disposable {
    const undo = new DisposableStack();
    if (!this.#facts.terminal) return undo;
    const resize = () => {
      const { columns, rows } = Deno.consoleSize();
      if (columns > 0 && rows > 0) machine.act(this.#facts.device, "size", `${columns}x${rows}`);
    };
    resize();
    Deno.addSignalListener("SIGWINCH", resize);
    undo.defer(() => Deno.removeSignalListener("SIGWINCH", resize));
    return undo;
  }

  happened(machine: Machine, device: string, event: DeviceEvent): void {
    // A program whose reader is gone would end by SIGPIPE here; in the guest it could only wait.
    if (device !== this.#facts.device || event.kind !== "unread") return;
    this.#unread = true;
    machine.stop();
  }

  async explain(end: VmEnd): Promise<number> {
    if (this.#unread) return SIGPIPE_STATUS;
    const { timeout = 0 } = this.#facts;
    switch (end.kind) {
      case "exit":
        this.#requireStarted();
        return end.status;
      case "timeout":
      case "triple-fault":
      case "fault":
        await explainEnd(end, { timeout }, this.#last, this.#context);
        return end.status;
      case "killed":
      case "migrated":
        return end.status;
      default: // by its kernel
        this.#showKernel();
        if (end.status !== ExitStatus.PANIC) {
          throw new VmError(`The guest has ended before its command did (${end.kind})`);
        }
        this.#explainPanic();
        return end.status;
    }
  }

  /** Refuses a status that is not the command's but says that it never ran. */
  #requireStarted(): void {
    const told = this.#told;
    if (!FAILURE_MARK.every((byte, i) => told[i] === byte)) return;
    const [step = 0, errno = 0] = told.subarray(FAILURE_MARK.length);
    const { what, options } = this.#facts.steps[step]!;
    const { code, text } = errnoName(errno);
    this.#showKernel();
    throw new VmError(
      `The guest could not ${what}: ${text} (${code})`,
      options.length === 0 ? {} : { hint: driverHint(options, this.#facts.drivers) },
    );
  }

  #explainPanic(): void {
    const noInit = this.#last.lines(KEPT_LINES).some((line) => NO_INIT.test(line));
    this.#context.note("hvsh run: the guest's kernel panicked");
    if (noInit) {
      this.#context.note("  try: a kernel with CONFIG_BLK_DEV_INITRD=y and CONFIG_BINFMT_ELF=y");
    }
  }

  /** What the kernel said of a fault, or last; with --verbose it has been seen. */
  #showKernel(): void {
    if (this.#facts.verbose) return;
    const lines = this.#last.lines(KEPT_LINES);
    const fault = lines.findIndex((line) => FAULT.test(line));
    const shown = fault < 0 ? lines.slice(-USUAL_LINES) : lines.slice(fault, fault + SHOWN_LINES);
    if (shown.length > 0) showLines(shown, this.#context);
  }
}

/** How a kernel comes to have what it lacks. */
function driverHint(options: readonly string[], { version, missedIn }: KernelDrivers): string {
  const wanted = options.map((option) => `CONFIG_${option}=y`).join(" ");
  const built = `try: a kernel with ${wanted}`;
  if (missedIn.length === 0) return built;
  return `${built}, or --modules with ${version ?? "its"} modules, of which there are none in ${
    missedIn.join(", ")
  }`;
}
