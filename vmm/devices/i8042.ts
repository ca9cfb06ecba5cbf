/**
 * The i8042 keyboard controller of the PC/AT (IBM PC/AT Technical Reference, March 1986, "Keyboard
 * Controller") at ports 0x60 and 0x64, with a keyboard and no mouse: https://bitsavers.org/pdf/ibm/pc/at/
 *
 * @module
 */
import { bytes, type Struct, struct, u16, u8 } from "../../ffi/struct.ts";
import { Irq, Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, InterruptLine } from "../device.ts";
import { KeyboardState, Ps2Keyboard } from "./ps2_keyboard.ts";

/** Status register, port 0x64. Its input buffer is never full: a write is done at once. */
const Status = {
  OUTPUT_FULL: 0x01,
  SYSTEM_FLAG: 0x04,
  /** The last write went to port 0x64, not 0x60. */
  COMMAND: 0x08,
  /** The keyboard lock is open. */
  UNLOCKED: 0x10,
  AUX_OUTPUT_FULL: 0x20,
} as const;

/** Command byte. */
const Control = {
  KEYBOARD_INTERRUPT: 0x01,
  SYSTEM_FLAG: 0x04,
  KEYBOARD_DISABLED: 0x10,
  AUX_DISABLED: 0x20,
  TRANSLATE: 0x40,
} as const;

/** Output port. */
const OutputPort = {
  /** Low resets the processor. */
  NOT_RESET: 0x01,
  A20: 0x02,
  OUTPUT_FULL: 0x10,
  AUX_OUTPUT_FULL: 0x20,
  KEYBOARD_DATA: 0x80,
} as const;

/** Commands to the controller, port 0x64. */
const Command = {
  READ_CONTROL: 0x20,
  WRITE_CONTROL: 0x60,
  DISABLE_AUX: 0xa7,
  ENABLE_AUX: 0xa8,
  TEST_AUX: 0xa9,
  SELF_TEST: 0xaa,
  TEST_KEYBOARD: 0xab,
  DISABLE_KEYBOARD: 0xad,
  ENABLE_KEYBOARD: 0xae,
  READ_INPUT_PORT: 0xc0,
  READ_OUTPUT_PORT: 0xd0,
  WRITE_OUTPUT_PORT: 0xd1,
  WRITE_KEYBOARD_BUFFER: 0xd2,
  WRITE_AUX_BUFFER: 0xd3,
  WRITE_AUX: 0xd4,
  DISABLE_A20: 0xdd,
  ENABLE_A20: 0xdf,
  /** And up to 0xff: pulses the output port's low bits whose bits here are 0. */
  PULSE: 0xf0,
} as const;

const SELF_TEST_PASSED = 0x55;
const TEST_PASSED = 0x00;
/** The mouse's clock line is stuck low: how a controller without one answers. */
const NO_AUX = 0x01;

/** What stands for the answer of a device that is not there. */
const NO_ANSWER = 0xfe;

const QUEUE_SIZE = 16;

/** The keyboard controller's registers. */
export const I8042State = struct("i8042", {
  control: u8,
  /** A20 as the guest left it; memory never wraps. */
  outport: u8,
  /** Controller command that waits for its byte on port 0x60; 0 for none. */
  command: u8,
  /** Whether the last write went to port 0x64. */
  last_was_command: u8,
  keyboard: KeyboardState,
  queue: bytes(QUEUE_SIZE),
  queue_head: u8,
  queue_count: u8,
  /** A bit for each slot of `queue` whose byte comes from the mouse's side. */
  queue_aux: u16,
  /** What port 0x60 gives while nothing waits. */
  data: u8,
  /** The interrupt line as it was last driven. */
  intr: u8,
});

class I8042 implements Device {
  readonly ranges;
  readonly #s: Struct<typeof I8042State>;
  readonly #queue: Uint8Array;
  readonly #keyboard: Ps2Keyboard;
  readonly #line: InterruptLine;
  readonly #context: DeviceContext;

  constructor(context: DeviceContext) {
    this.#s = new I8042State(context.state);
    this.#queue = this.#s.queue;
    this.#keyboard = new Ps2Keyboard(this.#s.keyboard, (byte) => this.#put(byte));
    this.#line = context.interrupt(Irq.KEYBOARD);
    this.#context = context;
    const status = {
      read: () => this.#status(),
      write: (_offset: number, _width: number, value: number) => this.#control(value),
    };
    this.ranges = [
      { space: "pio", base: Port.I8042, size: 1, maxWidth: 1, handler: this },
      { space: "pio", base: Port.I8042 + 4, size: 1, maxWidth: 1, handler: status },
    ] as const;
  }

  reset(): void {
    const s = this.#s;
    s.control = Control.KEYBOARD_INTERRUPT | Control.SYSTEM_FLAG | Control.TRANSLATE |
      Control.AUX_DISABLED;
    s.outport = OutputPort.NOT_RESET | OutputPort.A20;
    s.command = 0;
    s.last_was_command = 0;
    s.data = 0;
    this.#clearQueue();
    this.#keyboard.reset();
    this.#interrupt();
  }

  restored(): void {
    this.#line.set(this.#s.intr !== 0);
  }

  /** Port 0x60. */
  read(): number {
    const s = this.#s;
    if (s.queue_count === 0) return s.data;
    const head = s.queue_head % QUEUE_SIZE;
    s.data = this.#queue[head]!;
    s.queue_aux = s.queue_aux & ~(1 << head);
    s.queue_head = (head + 1) % QUEUE_SIZE;
    s.queue_count = s.queue_count - 1;
    this.#drive(0); // each byte is an edge of its own
    this.#interrupt();
    return s.data;
  }

  /** Port 0x60. */
  write(_offset: number, _width: number, value: number): void {
    const s = this.#s;
    const command = s.command;
    s.command = 0;
    s.last_was_command = 0;
    switch (command) {
      case Command.WRITE_CONTROL:
        s.control = value;
        this.#interrupt();
        break;
      case Command.WRITE_OUTPUT_PORT:
        s.outport = value | OutputPort.NOT_RESET;
        if ((value & OutputPort.NOT_RESET) === 0) this.#context.stop("reset");
        break;
      case Command.WRITE_KEYBOARD_BUFFER:
      // Without a mouse's port the byte comes back by the only way there is.
      case Command.WRITE_AUX_BUFFER:
        this.#put(value);
        break;
      case Command.WRITE_AUX:
        this.#put(NO_ANSWER, true);
        break;
      default:
        s.control = s.control & ~Control.KEYBOARD_DISABLED;
        this.#keyboard.write(value, (s.control & Control.TRANSLATE) !== 0);
    }
  }

  #status(): number {
    const s = this.#s;
    const aux = (s.queue_aux & (1 << s.queue_head % QUEUE_SIZE)) !== 0;
    return Status.UNLOCKED |
      (s.control & Control.SYSTEM_FLAG) |
      (s.last_was_command !== 0 ? Status.COMMAND : 0) |
      (s.queue_count !== 0 ? Status.OUTPUT_FULL : 0) |
      (s.queue_count !== 0 && aux ? Status.AUX_OUTPUT_FULL : 0);
  }

  #control(command: number): void {
    const s = this.#s;
    s.last_was_command = 1;
    s.command = 0;
    switch (command) {
      case Command.READ_CONTROL:
        return this.#put(s.control);
      case Command.WRITE_CONTROL:
      case Command.WRITE_OUTPUT_PORT:
      case Command.WRITE_KEYBOARD_BUFFER:
      case Command.WRITE_AUX_BUFFER:
      case Command.WRITE_AUX:
        s.command = command;
        return;
      case Command.DISABLE_AUX:
        s.control = s.control | Control.AUX_DISABLED;
        return;
      case Command.ENABLE_AUX:
        s.control = s.control & ~Control.AUX_DISABLED;
        return;
      case Command.TEST_AUX:
        return this.#put(NO_AUX);
      case Command.SELF_TEST:
        s.control = s.control | Control.SYSTEM_FLAG;
        return this.#put(SELF_TEST_PASSED);
      case Command.TEST_KEYBOARD:
        return this.#put(TEST_PASSED);
      case Command.DISABLE_KEYBOARD:
        s.control = s.control | Control.KEYBOARD_DISABLED;
        return;
      case Command.ENABLE_KEYBOARD:
        s.control = s.control & ~Control.KEYBOARD_DISABLED;
        return;
      case Command.READ_INPUT_PORT:
        return this.#put(0x80); // the keyboard isn't locked
      case Command.READ_OUTPUT_PORT:
        return this.#put(this.#outputPort());
      case Command.DISABLE_A20:
        s.outport = s.outport & ~OutputPort.A20;
        return;
      case Command.ENABLE_A20:
        s.outport = s.outport | OutputPort.A20;
        return;
    }
    const resets = (command & OutputPort.NOT_RESET) === 0;
    if (command >= Command.PULSE && resets) this.#context.stop("reset");
  }

  #outputPort(): number {
    const status = this.#status();
    const fixed = OutputPort.NOT_RESET | OutputPort.KEYBOARD_DATA;
    return fixed | (this.#s.outport & OutputPort.A20) |
      ((status & Status.OUTPUT_FULL) !== 0 ? OutputPort.OUTPUT_FULL : 0) |
      ((status & Status.AUX_OUTPUT_FULL) !== 0 ? OutputPort.AUX_OUTPUT_FULL : 0);
  }

  /** Queues a byte for port 0x60. What a full queue can't take is lost, as on the wire. */
  #put(byte: number, aux = false): void {
    const s = this.#s;
    if (s.queue_count >= QUEUE_SIZE) return;
    const slot = (s.queue_head + s.queue_count) % QUEUE_SIZE;
    this.#queue[slot] = byte;
    s.queue_aux = aux ? s.queue_aux | (1 << slot) : s.queue_aux & ~(1 << slot);
    s.queue_count = s.queue_count + 1;
    this.#interrupt();
  }

  #clearQueue(): void {
    this.#s.queue_head = 0;
    this.#s.queue_count = 0;
    this.#s.queue_aux = 0;
  }

  #interrupt(): void {
    const full = (this.#status() & (Status.OUTPUT_FULL | Status.AUX_OUTPUT_FULL)) ===
      Status.OUTPUT_FULL;
    this.#drive(full && (this.#s.control & Control.KEYBOARD_INTERRUPT) !== 0 ? 1 : 0);
  }

  #drive(level: 0 | 1): void {
    if (this.#s.intr === level) return;
    this.#s.intr = level;
    this.#line.set(level === 1);
  }
}

/** The keyboard controller: reset, A20, and a keyboard that answers. */
export const i8042: DeviceType<Record<string, unknown>> = {
  type: "i8042",
  state: I8042State,
  open: (_config, context) => new I8042(context),
};
