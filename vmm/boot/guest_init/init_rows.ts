/**
 * Rows of a guest's first process that its parts have in common: what must not fail, and how it is told
 * if it does. That goes to the debug console, which needs no driver: a mark, the number of the step, and
 * the errno.
 *
 * @module
 */
import { Port } from "../../board.ts";
import type { InitStep } from "./guest_command.ts";
import {
  type Argument,
  InitProgram,
  Label,
  type Next,
  Op,
  type Place,
  Result,
} from "./init_program.ts";
import { Open, Reboot, Sys } from "./syscalls.ts";

/** What comes before a step and an errno on the debug console. */
export const FAILURE_MARK: Uint8Array<ArrayBuffer> = new TextEncoder().encode("\0hvsh-init\0");

const FAILED_STATUS = 125;
/** A millisecond each, until a device has to be there that its driver makes. */
const MOST_TRIES = 10_000;
const MILLISECOND = 1_000_000n;
const NO_PORTS = "hvsh: the kernel lets no program at ports (CONFIG_X86_IOPL_IOPERM)\n";

/** A first process in the making. */
export class InitRows {
  readonly program: InitProgram = new InitProgram();
  /** What can go wrong, by its number. */
  readonly steps: InitStep[] = [];
  /** The result of the last row that must not fail. */
  readonly last: Place = this.program.zeros(8);
  readonly #step: Place = this.program.zeros(8);
  readonly #millisecond: Place = this.program.bytes(
    new Uint8Array(BigUint64Array.of(0n, MILLISECOND).buffer),
  );
  readonly #failed: Label[] = [];

  /** Takes hold of the ports that tell the host how it goes. */
  openPorts(): void {
    const { program } = this;
    const open = new Label();
    const count = Port.DEBUG_EXIT - Port.DEBUGCON + 1;
    program.call(Sys.ioperm, [Port.DEBUGCON, count, 1], { zero: open });
    program.call(Sys.write, [1, program.text(NO_PORTS), NO_PORTS.length]);
    program.call(Sys.reboot, [Reboot.MAGIC1, Reboot.MAGIC2, Reboot.CMD_POWER_OFF, 0]);
    this.sleep();
    program.place(open);
  }

  /** Adds a row whose failure is told, and ends the VM. */
  must(
    op: number,
    args: readonly Argument[],
    step: InitStep,
    next: Omit<Next, "store"> = {},
  ): void {
    this.program.call(op, args, { ...next, store: this.last, negative: this.#failure(step) });
  }

  /** Opens a device that may not be there yet, as the descriptor of a number. */
  awaitDevice(path: string, flags: number, fd: number, step: InitStep): void {
    const { program } = this;
    const [again, opened] = [new Label(), new Label()];
    const left = program.zeros(8);
    program.call(Op.SUBTRACT, [MOST_TRIES, 0], { store: left });
    program.place(again);
    program.call(Sys.open, [program.text(path), flags | Open.CLOEXEC], {
      store: this.last,
      zero: opened,
      positive: opened,
    });
    program.call(Sys.nanosleep, [this.#millisecond, 0]);
    const tries = new Result();
    program.call(Op.LOAD, [left], { store: tries });
    program.call(Op.SUBTRACT, [tries, 1], { store: left, positive: again });
    program.goTo(this.#failure(step));
    program.place(opened);
    this.copyDescriptor(this.last, fd);
  }

  /** Gives a descriptor that is kept somewhere a number of ours; its own stays open, until exec. */
  copyDescriptor(kept: Place, fd: number): void {
    const { program } = this;
    const from = new Result();
    program.call(Op.LOAD, [kept], { store: from });
    program.call(Sys.dup3, [from, fd, Open.CLOEXEC]);
  }

  /** Has nothing more to do: an init that ends is a panic. */
  sleep(): void {
    const { program } = this;
    const again = new Label();
    program.place(again);
    program.call(Sys.pause, []);
    program.goTo(again);
  }

  /** Adds the rows that tell what failed, behind all others. */
  finish(): void {
    const { program } = this;
    const told = new Label();
    for (const [number, label] of this.#failed.entries()) {
      program.place(label);
      program.call(Op.SUBTRACT, [number, 0], { store: this.#step });
      program.goTo(told);
    }
    const [step, result, errno] = [new Result(), new Result(), new Result()];
    program.place(told);
    for (const byte of FAILURE_MARK) program.call(Op.OUT, [Port.DEBUGCON, byte]);
    program.call(Op.LOAD, [this.#step], { store: step });
    program.call(Op.OUT, [Port.DEBUGCON, step]);
    program.call(Op.LOAD, [this.last], { store: result });
    program.call(Op.SUBTRACT, [0, result], { store: errno });
    program.call(Op.OUT, [Port.DEBUGCON, errno]);
    program.call(Op.OUT, [Port.DEBUG_EXIT, FAILED_STATUS]);
    this.sleep();
  }

  #failure(step: InitStep): Label {
    const label = new Label();
    this.#failed.push(label);
    this.steps.push(step);
    return label;
  }
}
