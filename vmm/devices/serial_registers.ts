/**
 * The registers of the 16550A UART (National Semiconductor PC16550D data sheet, June 1995, §8):
 * https://www.ti.com/lit/ds/symlink/pc16550d.pdf
 *
 * @module
 */
import { bytes, struct, u16, u8 } from "../../ffi/struct.ts";
import { moment } from "../moment.ts";

/** Register offsets (table II). With {@linkcode LCR}`.DLAB` 0 and 1 are the divisor latch. */
export const Register = {
  RBR_THR_DLL: 0,
  IER_DLM: 1,
  IIR_FCR: 2,
  LCR: 3,
  MCR: 4,
  LSR: 5,
  MSR: 6,
  SCR: 7,
} as const;

/** Interrupt enable register (§8.7). */
export const IER = {
  /** Received data available, and character time-out. */
  RDI: 0x01,
  /** Transmitter holding register empty. */
  THRI: 0x02,
  /** Receiver line status. */
  RLSI: 0x04,
  /** Modem status. */
  MSI: 0x08,
  MASK: 0x0f,
} as const;

/** Interrupt identification register (§8.6, table IV). */
export const IIR = {
  NO_INT: 0x01,
  RLSI: 0x06,
  RDI: 0x04,
  TIMEOUT: 0x0c,
  THRI: 0x02,
  MSI: 0x00,
  /** Both bits are set while the FIFOs are enabled. */
  FIFO: 0xc0,
} as const;

/** FIFO control register (§8.5). */
export const FCR = {
  ENABLE: 0x01,
  CLEAR_RCVR: 0x02,
  TRIGGER_SHIFT: 6,
  TRIGGER_MASK: 0xc0,
} as const;

/** Bytes that raise the received-data interrupt, by FCR bits 7-6. */
export const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
/** Bytes in the receiver's FIFO. */
export const FIFO_SIZE = 16;

/** Line control register (§8.1). */
export const LCR = { DLAB: 0x80 } as const;

/** Modem control register (§8.8). */
export const MCR = {
  DTR: 0x01,
  RTS: 0x02,
  OUT1: 0x04,
  /** On a PC, OUT2 connects the chip's interrupt to the bus. */
  OUT2: 0x08,
  LOOP: 0x10,
  MASK: 0x1f,
} as const;

/** Line status register (§8.4). */
export const LSR = {
  DR: 0x01,
  OE: 0x02,
  BI: 0x10,
  THRE: 0x20,
  TEMT: 0x40,
  FIFO_ERROR: 0x80,
} as const;

/** Modem status register (§8.9). */
export const MSR = {
  DCTS: 0x01,
  DDSR: 0x02,
  TERI: 0x04,
  DDCD: 0x08,
  DELTA: 0x0f,
  CTS: 0x10,
  DSR: 0x20,
  RI: 0x40,
  DCD: 0x80,
} as const;

/** Divisor of 1.8432 MHz for 9600 baud. */
export const DIVISOR_9600 = 12;

/** A serial port's registers in the arena. */
export const SerialState = struct("serial", {
  ier: u8,
  fcr: u8,
  lcr: u8,
  mcr: u8,
  /** Only the bits that are latched: OE and BI. */
  lsr: u8,
  msr: u8,
  scr: u8,
  /** THRE is an interrupt source until IIR shows it or THR is written. */
  thr_ipending: u8,
  divisor: u16,
  /** A bit for each slot of `rcvr` whose zero byte is a break. */
  breaks: u16,
  rcvr: bytes(FIFO_SIZE),
  rcvr_head: u8,
  rcvr_count: u8,
  /** The interrupt line as it was last driven. */
  intr: u8,
  /** Input was refused for want of room. */
  refused: u8,
  /** When to see whether output flows again, so that THRE can interrupt; 0 for never. */
  xmit_deadline: moment(0),
});
