/**
 * A 16550A UART (National Semiconductor PC16550D data sheet, June 1995), ports 0x3f8, 0x2f8, 0x3e8
 * and 0x2e8 on a PC: https://www.ti.com/lit/ds/symlink/pc16550d.pdf
 *
 * Bytes take no time on the wire. So the character time-out of §8.11 comes at once when less than
 * the trigger level waits, and the transmitter is empty whenever the output's reader keeps up. The
 * word length in LCR is not applied: code that only prints often leaves it at 5 bits.
 *
 * @module
 */
import type { Struct } from "../../ffi/struct.ts";
import type { ByteSink, Device, DeviceContext, DeviceType, InterruptLine } from "../device.ts";
import { SerialReceiver } from "./serial_receiver.ts";
import {
  DIVISOR_9600,
  FCR,
  IER,
  IIR,
  LCR,
  LSR,
  MCR,
  MSR,
  Register,
  SerialState,
  TRIGGER_LEVELS,
} from "./serial_registers.ts";

/** A serial port's entry in the document. */
export interface SerialConfig {
  /** First of its eight ports. */
  port: number;
  /** Its interrupt's GSI. */
  irq: number;
}

/** A terminal is plugged in and listens. */
const MSR_CONNECTED = MSR.CTS | MSR.DSR | MSR.DCD;
/** How soon to look again whether a blocked reader goes on, in milliseconds. */
const FLOW_CONTROL_MS = 2;

class Serial implements Device {
  readonly ranges;
  readonly #s: Struct<typeof SerialState>;
  readonly #receiver: SerialReceiver;
  readonly #output: ByteSink;
  readonly #line: InterruptLine;
  readonly #context: DeviceContext;

  constructor(config: SerialConfig, context: DeviceContext) {
    this.#s = new SerialState(context.state);
    this.#receiver = new SerialReceiver(this.#s);
    this.#output = context.output;
    this.#line = context.interrupt(config.irq);
    this.#context = context;
    this.ranges = [
      { space: "pio", base: config.port, size: 8, maxWidth: 1, handler: this },
    ] as const;
  }

  reset(): void {
    const s = this.#s;
    s.ier = 0;
    s.fcr = 0;
    s.lcr = 0;
    s.mcr = 0;
    s.lsr = 0;
    s.msr = MSR_CONNECTED;
    s.scr = 0;
    s.thr_ipending = 0;
    s.divisor = DIVISOR_9600;
    s.xmit_deadline = 0;
    this.#receiver.clear();
    this.#update();
    this.#roomAgain();
  }

  restored(): void {
    this.#line.set(this.#s.intr !== 0);
  }

  write(offset: number, _width: number, value: number): void {
    const s = this.#s;
    switch (offset) {
      case Register.RBR_THR_DLL:
        if ((s.lcr & LCR.DLAB) !== 0) s.divisor = (s.divisor & 0xff00) | value;
        else this.#writeThr(value);
        break;
      case Register.IER_DLM:
        if ((s.lcr & LCR.DLAB) !== 0) s.divisor = (s.divisor & 0xff) | (value << 8);
        else this.#writeIer(value & IER.MASK);
        break;
      case Register.IIR_FCR:
        this.#writeFcr(value);
        break;
      case Register.LCR:
        s.lcr = value;
        break;
      case Register.MCR:
        s.mcr = value & MCR.MASK;
        this.#setModemLines();
        this.#update();
        break;
      case Register.SCR:
        s.scr = value;
        break;
    } // LSR and MSR are for reading; writing them is for factory tests (§8.4)
  }

  read(offset: number): number {
    const s = this.#s;
    switch (offset) {
      case Register.RBR_THR_DLL:
        return (s.lcr & LCR.DLAB) !== 0 ? s.divisor & 0xff : this.#readRbr();
      case Register.IER_DLM:
        return (s.lcr & LCR.DLAB) !== 0 ? s.divisor >> 8 : s.ier;
      case Register.IIR_FCR:
        return this.#readIir();
      case Register.LCR:
        return s.lcr;
      case Register.MCR:
        return s.mcr;
      case Register.LSR:
        return this.#readLsr();
      case Register.MSR:
        return this.#readMsr();
      default:
        return s.scr;
    }
  }

  /**
   * Takes as much as the receiver has room for. After a call that took less, the context's `rearm`
   * is called when there is room again, which is the time to offer the rest.
   */
  receive(data: Uint8Array): number {
    const s = this.#s;
    const room = (s.mcr & MCR.LOOP) === 0 ? this.#receiver.room : 0;
    const taken = Math.min(room, data.length);
    for (let i = 0; i < taken; i++) this.#receiver.put(data[i]!, false);
    if (taken < data.length) s.refused = 1;
    if (taken > 0) this.#update();
    return taken;
  }

  action(name: string): boolean {
    if (name !== "break") return false;
    if ((this.#s.mcr & MCR.LOOP) === 0) {
      this.#receiver.put(0, true);
      this.#update();
    }
    return true;
  }

  deadline(): number {
    return this.#s.xmit_deadline || Infinity;
  }

  expire(): void {
    const s = this.#s;
    if (s.xmit_deadline === 0) return;
    const waits = (s.ier & IER.THRI) !== 0;
    const thre = this.#thre();
    s.xmit_deadline = waits && !thre ? this.#context.monotonic() + FLOW_CONTROL_MS : 0;
    if (waits && thre) s.thr_ipending = 1;
    this.#update();
  }

  #writeThr(byte: number): void {
    const s = this.#s;
    if ((s.mcr & MCR.LOOP) === 0) {
      this.#output.write(byte);
    } else {
      this.#receiver.put(byte, false);
      this.#update();
    }
    // Nobody sees THRE's interrupt while it is disabled: enabling it decides anew.
    if ((s.ier & IER.THRI) === 0) return;
    s.thr_ipending = 0;
    this.#update();
    this.#transmitterEmpty();
    this.#update();
  }

  /** THRE's interrupt, now or when the output's reader keeps up again. */
  #transmitterEmpty(): void {
    const s = this.#s;
    if (this.#thre()) {
      s.thr_ipending = 1;
    } else if (s.xmit_deadline === 0) {
      s.xmit_deadline = this.#context.monotonic() + FLOW_CONTROL_MS;
      this.#context.rearm();
    }
  }

  #thre(): boolean {
    return this.#output.ready || (this.#s.mcr & MCR.LOOP) !== 0;
  }

  #writeIer(value: number): void {
    const s = this.#s;
    const changed = s.ier ^ value;
    s.ier = value;
    if ((changed & IER.THRI) !== 0) {
      s.thr_ipending = 0;
      if ((value & IER.THRI) !== 0) this.#transmitterEmpty();
    }
    if (changed !== 0) this.#update();
  }

  #writeFcr(value: number): void {
    const s = this.#s;
    const enable = value & FCR.ENABLE;
    const toggled = enable !== (s.fcr & FCR.ENABLE);
    // The other bits are only programmed together with bit 0 (§8.5).
    s.fcr = enable === 0 ? 0 : value & (FCR.ENABLE | FCR.TRIGGER_MASK);
    if (toggled || (enable !== 0 && (value & FCR.CLEAR_RCVR) !== 0)) {
      s.lsr = s.lsr & ~LSR.BI;
      this.#receiver.clear();
      this.#roomAgain();
    }
    this.#update();
  }

  #roomAgain(): void {
    if (this.#s.refused === 0 || (this.#s.mcr & MCR.LOOP) !== 0) return;
    this.#s.refused = 0;
    this.#context.rearm();
  }

  #readRbr(): number {
    const s = this.#s;
    if (s.rcvr_count === 0) return this.#receiver.take();
    const byte = this.#receiver.take();
    // A time-out indication ends with each byte read, then comes again: an edge for each.
    if (this.#source() === IIR.TIMEOUT) this.#drive(0);
    this.#update();
    if (s.rcvr_count === 0) this.#roomAgain();
    return byte;
  }

  #readIir(): number {
    const s = this.#s;
    const source = this.#source();
    if (source === IIR.THRI) {
      s.thr_ipending = 0;
      this.#update();
    }
    return (s.fcr & FCR.ENABLE) !== 0 ? source | IIR.FIFO : source;
  }

  #readLsr(): number {
    const s = this.#s;
    const latched = s.lsr;
    const errors = (s.fcr & FCR.ENABLE) !== 0 ? (latched & LSR.BI) | s.breaks : 0;
    const lsr = latched |
      (s.rcvr_count !== 0 ? LSR.DR : 0) |
      (this.#thre() ? LSR.THRE | LSR.TEMT : 0) |
      (errors !== 0 ? LSR.FIFO_ERROR : 0);
    if (latched !== 0) {
      s.lsr = 0;
      this.#update();
    }
    return lsr;
  }

  #readMsr(): number {
    const msr = this.#s.msr;
    if ((msr & MSR.DELTA) !== 0) {
      this.#s.msr = msr & ~MSR.DELTA;
      this.#update();
    }
    return msr;
  }

  /** MSR from the cable, or from MCR in loopback (§8.8, bit 4), with what changed. */
  #setModemLines(): void {
    const { mcr, msr } = this.#s;
    const loop = (mcr & MCR.LOOP) !== 0;
    const lines = loop ? loopedLines(mcr) : MSR_CONNECTED;
    const changed = lines ^ msr;
    this.#s.msr = lines | (msr & MSR.DELTA) |
      ((changed & MSR.CTS) !== 0 ? MSR.DCTS : 0) |
      ((changed & MSR.DSR) !== 0 ? MSR.DDSR : 0) |
      ((changed & msr & MSR.RI) !== 0 ? MSR.TERI : 0) |
      ((changed & MSR.DCD) !== 0 ? MSR.DDCD : 0);
    this.#roomAgain();
  }

  /** The interrupt of the highest priority that is enabled and pending (§8.6, table IV). */
  #source(): number {
    const s = this.#s;
    const ier = s.ier;
    if (ier === 0) return IIR.NO_INT;
    if ((ier & IER.RLSI) !== 0 && s.lsr !== 0) return IIR.RLSI;
    if ((ier & IER.RDI) !== 0 && s.rcvr_count !== 0) {
      const fcr = s.fcr;
      const trigger = (fcr & FCR.ENABLE) === 0 ? 1 : TRIGGER_LEVELS[fcr >> FCR.TRIGGER_SHIFT]!;
      return s.rcvr_count >= trigger ? IIR.RDI : IIR.TIMEOUT;
    }
    if ((ier & IER.THRI) !== 0 && s.thr_ipending !== 0) return IIR.THRI;
    return (ier & IER.MSI) !== 0 && (s.msr & MSR.DELTA) !== 0 ? IIR.MSI : IIR.NO_INT;
  }

  #update(): void {
    const connected = (this.#s.mcr & MCR.OUT2) !== 0;
    this.#drive(connected && this.#source() !== IIR.NO_INT ? 1 : 0);
  }

  #drive(level: 0 | 1): void {
    if (this.#s.intr === level) return;
    this.#s.intr = level;
    this.#line.set(level === 1);
  }
}

function loopedLines(mcr: number): number {
  return ((mcr & MCR.RTS) !== 0 ? MSR.CTS : 0) |
    ((mcr & MCR.DTR) !== 0 ? MSR.DSR : 0) |
    ((mcr & MCR.OUT1) !== 0 ? MSR.RI : 0) |
    ((mcr & MCR.OUT2) !== 0 ? MSR.DCD : 0);
}

/** The 16550A serial port. */
export const serial: DeviceType<SerialConfig> = {
  type: "serial",
  state: SerialState,
  open: (config, context) => new Serial(config, context),
};
