/**
 * The part of a guest's first process that moves a command's streams between the pipes that it has and
 * the ports of the console.
 *
 * The command does not have the ports themselves, since Linux lets a port be opened only once: nobody
 * could open `/dev/stderr`. Each stream has a thread, which is of this process, so that the end of all
 * others leaves it to finish.
 *
 * @module
 */
import { COMMAND_PORTS, type GuestCommand, type InitStep } from "./guest_command.ts";
import { Label, Op, type Place, Result } from "./init_program.ts";
import type { InitRows } from "./init_rows.ts";
import { CLONE_THREAD_FLAGS, FUTEX_WAIT, Ioctl, Open, Sys } from "./syscalls.ts";

/** Bytes that Linux takes at once for a port (virtio_console.c, port_fops_write). */
const PIECE = 32 * 1024;

/** Descriptors of ours, above those that the kernel gives. */
const TERMINAL = 200;
const READY = 201;
const FIRST = 210;

const CONSOLE_STEP: InitStep = {
  what: "open the command's streams",
  options: ["VIRTIO_PCI", "VIRTIO_CONSOLE"],
};

/** A thread is a process to the kernel, and wants as little. */
const START_STEP: InitStep = { what: "start the command", options: [] };

/** One stream of the command. */
interface Stream {
  /** The command's descriptor of it. */
  readonly number: 0 | 1 | 2;
  /** The console's port. */
  readonly port: number;
  /** The pipe. */
  readonly reader: number;
  readonly writer: number;
  readonly thread: Label;
  /** The kernel keeps the thread's number there while it lives. */
  readonly lives: Place;
}

/** The streams of one command. */
export class PumpRows {
  readonly #rows: InitRows;
  readonly #terminal: boolean;
  readonly #streams: readonly Stream[];

  /**
   * @param rows The first process
   * @param command What it is to run
   */
  constructor(rows: InitRows, { terminal, stderr }: GuestCommand) {
    this.#rows = rows;
    this.#terminal = terminal;
    const numbers = terminal ? (stderr ? [2] as const : []) : [0, 1, 2] as const;
    this.#streams = numbers.map((number) => ({
      number,
      port: FIRST + number,
      reader: FIRST + 10 + number,
      writer: FIRST + 20 + number,
      thread: new Label(),
      lives: rows.program.zeros(8),
    }));
  }

  /** Before there is a command: opens the ports, the pipes and the terminal. */
  open(): void {
    const rows = this.#rows;
    const { program } = rows;
    const place = (name: typeof COMMAND_PORTS[number]) =>
      `/dev/vport0p${1 + COMMAND_PORTS.indexOf(name)}`;
    if (this.#terminal) {
      rows.awaitDevice("/dev/hvc0", Open.RDWR | Open.NOCTTY, TERMINAL, CONSOLE_STEP);
    }
    for (const { number, port, reader, writer } of this.#streams) {
      const flags = number === 0 ? Open.RDONLY : Open.WRONLY;
      rows.awaitDevice(place(COMMAND_PORTS[number]), flags, port, CONSOLE_STEP);
      const ends = program.zeros(8);
      rows.must(Sys.pipe2, [ends, Open.CLOEXEC], START_STEP);
      const second = { ...ends, offset: ends.offset + 4 };
      for (const [end, fd] of [[ends, reader], [second, writer]] as const) {
        rows.copyDescriptor(end, fd);
        const first = new Result();
        program.call(Op.LOAD, [end], { store: first });
        program.call(Sys.close, [first]);
      }
    }
    // A port whose other end is not connected reads as ended. Linux hears of connections in the order
    // of the ports, and a write waits for its own port's: then it has heard of those before too.
    rows.awaitDevice(place("ready"), Open.WRONLY, READY, CONSOLE_STEP);
    program.call(Sys.write, [READY, program.text("r"), 1]);
  }

  /** In the command's process: has the streams be its own. */
  adopt(): void {
    const { program } = this.#rows;
    program.call(Sys.setsid, []);
    if (this.#terminal) {
      // Opened by a session's leader that has none, it becomes the controlling terminal.
      program.call(Sys.open, [program.text("/dev/hvc0"), Open.RDWR], { store: this.#rows.last });
      for (const fd of [0, 1, 2]) {
        const from = new Result();
        program.call(Op.LOAD, [this.#rows.last], { store: from });
        program.call(Sys.dup2, [from, fd]);
      }
    }
    for (const { number, reader, writer } of this.#streams) {
      program.call(Sys.dup2, [number === 0 ? reader : writer, number]);
    }
  }

  /** In the first process: has the streams flow from now on. */
  start(): void {
    const { program } = this.#rows;
    for (const { number, reader, writer, thread, lives } of this.#streams) {
      program.call(Sys.close, [number === 0 ? reader : writer]); // only the command has it now
      this.#rows.must(Sys.clone, [CLONE_THREAD_FLAGS, 0, lives, lives, 0], START_STEP, {
        zero: thread,
      });
    }
  }

  /** In the first process, when nobody else lives: waits until all output is on its way to the host. */
  finish(): void {
    const { program } = this.#rows;
    for (const { number, lives } of this.#streams) {
      if (number === 0) continue;
      const [again, ended, value] = [new Label(), new Label(), new Result()];
      program.place(again);
      program.call(Op.LOAD, [lives], { store: value, zero: ended });
      program.call(Sys.futex, [lives, FUTEX_WAIT, value, 0]);
      program.goTo(again);
      program.place(ended);
    }
    if (this.#terminal) program.call(Sys.ioctl, [TERMINAL, Ioctl.TCSBRK, 1]);
  }

  /** Adds the threads' rows, apart from the others. */
  writeThreads(): void {
    const { program } = this.#rows;
    for (const { number, port, reader, writer, thread } of this.#streams) {
      const [from, to] = number === 0 ? [port, writer] : [reader, port];
      const [again, end, count] = [new Label(), new Label(), new Result()];
      const piece = program.zeros(PIECE);
      program.place(thread);
      program.place(again);
      program.call(Sys.read, [from, piece, PIECE], { store: count, negative: end, zero: end });
      // A pipe takes all of it, and so does a port.
      program.call(Sys.write, [to, piece, count], { negative: end, positive: again });
      program.place(end);
      program.call(Sys.close, [number === 0 ? writer : reader]);
      program.call(Sys.exit, [0]);
    }
  }
}
