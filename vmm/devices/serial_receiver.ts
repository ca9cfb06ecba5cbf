/**
 * The receiving half of a 16550A: RBR, or the FIFO in its place, with the errors that belong to
 * single bytes.
 *
 * @module
 */
import type { Struct } from "../../ffi/struct.ts";
import { FCR, FIFO_SIZE, LSR, type SerialState } from "./serial_registers.ts";

/** The receiver over a serial port's state. */
export class SerialReceiver {
  readonly #s: Struct<typeof SerialState>;
  readonly #rcvr: Uint8Array;

  /**
   * @param state The port's registers
   */
  constructor(state: Struct<typeof SerialState>) {
    this.#s = state;
    this.#rcvr = state.rcvr;
  }

  /** How many bytes fit at the moment. */
  get room(): number {
    return Math.max(0, this.#capacity() - this.#s.rcvr_count);
  }

  /** Forgets what waits. */
  clear(): void {
    const s = this.#s;
    s.rcvr_head = 0;
    s.rcvr_count = 0;
    s.breaks = 0;
  }

  /**
   * A byte arrives. A full FIFO loses the new byte, a full RBR the old one (§8.4, OE).
   *
   * @param byte The byte; 0 for a break
   * @param isBreak Whether it stands for a break
   */
  put(byte: number, isBreak: boolean): void {
    const s = this.#s;
    const capacity = this.#capacity();
    if (s.rcvr_count >= capacity) {
      s.lsr = s.lsr | LSR.OE;
      if (capacity > 1) return;
      s.rcvr_count = 0;
    }
    const slot = (s.rcvr_head + s.rcvr_count) % FIFO_SIZE;
    const bit = 1 << slot;
    this.#rcvr[slot] = byte;
    s.breaks = isBreak ? s.breaks | bit : s.breaks & ~bit;
    s.rcvr_count = s.rcvr_count + 1;
    this.#revealBreak();
  }

  /**
   * Reads RBR. An empty one gives its last byte again.
   *
   * @returns The byte
   */
  take(): number {
    const s = this.#s;
    const head = s.rcvr_head % FIFO_SIZE;
    if (s.rcvr_count === 0) return this.#rcvr[(head + FIFO_SIZE - 1) % FIFO_SIZE]!;
    s.rcvr_head = (head + 1) % FIFO_SIZE;
    s.rcvr_count = s.rcvr_count - 1;
    this.#revealBreak();
    return this.#rcvr[head]!;
  }

  #capacity(): number {
    return (this.#s.fcr & FCR.ENABLE) !== 0 ? FIFO_SIZE : 1;
  }

  /** BI shows when its byte is the next to be read (§8.4, BI). */
  #revealBreak(): void {
    const s = this.#s;
    const bit = 1 << s.rcvr_head % FIFO_SIZE;
    if (s.rcvr_count === 0 || (s.breaks & bit) === 0) return;
    s.breaks = s.breaks & ~bit;
    s.lsr = s.lsr | LSR.BI;
  }
}
