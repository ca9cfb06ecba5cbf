/**
 * The real-time clock and CMOS RAM of a PC, an MC146818 (Motorola MC146818 data sheet, 1984) at
 * ports 0x70 (index) and 0x71 (data), on IRQ 8, in UTC:
 * https://www.nxp.com/docs/en/data-sheet/MC146818.pdf
 *
 * The time isn't stored while it runs: it is the host's time and an offset, which setting the clock
 * changes. Flags in register C are worked out when someone looks at them or waits for them, so an
 * idle clock costs nothing.
 *
 * @module
 */
import { bytes, f64, type Struct, struct, u8 } from "../../ffi/struct.ts";
import { Irq, Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, InterruptLine } from "../device.ts";
import { moment } from "../moment.ts";
import { Format, isTime, nextAlarm, readTime, Register, writeTime } from "./rtc_time.ts";

/** The clock's entry in the document, filled in by the machine. */
export interface RtcConfig {
  /** Bytes of RAM below 4 GiB. */
  lowMemory?: number;
  /** Bytes of RAM from 4 GiB on. */
  highMemory?: number;
  /** How many vCPUs there are. */
  cpus?: number;
}

const INDEX = 0;
const INDEX_MASK = 0x7f;
const NMI_DISABLED = 0x80;
const RAM_SIZE = 128;

const A = {
  UIP: 0x80,
  /** Both bits hold the divider in reset: the clock stands still. */
  DIVIDER_RESET: 0x60,
  RATE: 0x0f,
  /** A 32.768 kHz crystal and a rate of 1024 Hz, as every PC's firmware sets it. */
  DEFAULT: 0x26,
} as const;

const B = { SET: 0x80, PIE: 0x40, AIE: 0x20, UIE: 0x10 } as const;

const C = { IRQF: 0x80, PF: 0x40, AF: 0x20, UF: 0x10 } as const;
const INTERRUPTS = C.PF | C.AF | C.UF;

/** Register D: the battery is good. */
const VRT = 0x80;

/** UIP goes up 244 us before an update, which takes 1984 us (table 5). */
const UPDATE_MS = 2.228;
/** The first update comes half a second after the divider's reset ends ("Divider Control"). */
const AFTER_RESET_MS = 500;

/** CMOS RAM as PC firmware lays it out. */
const Cmos = {
  EQUIPMENT: 0x14,
  BASE_MEMORY: 0x15,
  EXTENDED_MEMORY: 0x17,
  EXTENDED_MEMORY_POST: 0x30,
  /** Above 16 MiB, in 64 KiB. */
  MEMORY_16M: 0x34,
  /** Above 4 GiB, in 64 KiB, three bytes. */
  MEMORY_4G: 0x5b,
  CPUS: 0x5f,
} as const;
const EQUIPMENT_FPU = 0x02;
const KIB = 1024;
/** As far from the host's time as any year of four digits is, generously. */
const MOST_OFFSET_MS = 1e15;
const YEAR_SECONDS = 366 * 86400;
const MIB = 1024 * KIB;

/** The clock's registers. */
export const RtcState = struct("rtc", {
  index: u8,
  /** Bit 7 of the last index written: NMI is masked. Remembered only. */
  nmi_disabled: u8,
  /** The interrupt line as it was last driven. */
  intr: u8,
  /** Registers A to D, alarms and RAM; the time only while it is being set. */
  ram: bytes(RAM_SIZE),
  /** Milliseconds that the guest's clock is ahead of the host's. */
  clock_offset: f64,
  /** The guest's second up to which register C is right. */
  checked: f64,
  /** When the periodic flag is next due, on the monotonic clock; 0 if it is off. */
  next_periodic: moment(0),
});

class Rtc implements Device {
  readonly ranges;
  readonly #s: Struct<typeof RtcState>;
  readonly #ram: Uint8Array;
  readonly #config: RtcConfig;
  readonly #line: InterruptLine;
  readonly #context: DeviceContext;

  constructor(config: RtcConfig, context: DeviceContext) {
    this.#s = new RtcState(context.state);
    this.#ram = this.#s.ram;
    this.#config = config;
    this.#line = context.interrupt(Irq.RTC);
    this.#context = context;
    this.ranges = [{ space: "pio", base: Port.RTC, size: 2, maxWidth: 1, handler: this }] as const;
  }

  /** The battery keeps the time and the RAM, among it the shutdown status (0x0f). */
  reset(): void {
    if (this.#halted) this.#setTime(AFTER_RESET_MS);
    const s = this.#s;
    s.index = 0;
    s.nmi_disabled = 0;
    this.#ram[Register.A] = A.DEFAULT;
    this.#ram[Register.B] = Format.HOURS_24;
    this.#ram[Register.C] = 0;
    this.#ram[Register.D] = VRT;
    this.#describeMachine();
    s.checked = Math.floor(this.#now() / 1000);
    this.#restartPeriodic();
    this.#update();
  }

  /** The clock runs on by the host's; what it was to tell of meanwhile it tells of now. */
  restored(): void {
    const s = this.#s;
    if (!(Math.abs(s.clock_offset) <= MOST_OFFSET_MS)) {
      throw new TypeError(`state.clock_offset is ${s.clock_offset}`);
    }
    const second = Math.floor(this.#now() / 1000);
    if (!(s.checked <= second && s.checked > second - YEAR_SECONDS)) s.checked = second;
    this.#line.set(s.intr !== 0);
  }

  write(offset: number, _width: number, value: number): void {
    const s = this.#s;
    if (offset === INDEX) {
      s.index = value & INDEX_MASK;
      s.nmi_disabled = value & NMI_DISABLED;
      return;
    }
    const index = s.index & INDEX_MASK;
    if (index === Register.A || index === Register.B) return this.#control(index, value);
    if (index === Register.C || index === Register.D) return;
    if (!this.#halted && isTime(index)) {
      this.#sync();
      writeTime(s.checked, this.#ram, this.#ram[Register.B]!);
      this.#ram[index] = value;
      this.#setTime();
    } else {
      this.#ram[index] = value;
    }
    if (index <= Register.YEAR) this.#context.rearm(); // the alarm, or the time on its way there
  }

  read(offset: number): number {
    if (offset === INDEX) return 0xff; // write-only on a PC
    const index = this.#s.index & INDEX_MASK;
    if (index === Register.C) return this.#readC();
    const halted = this.#halted;
    if (index === Register.A) {
      const uip = !halted && fraction(this.#now()) >= 1000 - UPDATE_MS;
      return this.#ram[Register.A]! | (uip ? A.UIP : 0);
    }
    if (!halted && isTime(index)) {
      writeTime(Math.floor(this.#now() / 1000), this.#ram, this.#ram[Register.B]!);
    }
    return this.#ram[index]!;
  }

  deadline(): number {
    const s = this.#s;
    const wanted = this.#ram[Register.B]! & ~this.#ram[Register.C]!;
    const periodic = (wanted & B.PIE) !== 0 && s.next_periodic !== 0 ? s.next_periodic : Infinity;
    if (this.#halted || (wanted & (B.AIE | B.UIE)) === 0) return periodic;
    const second = (wanted & B.UIE) !== 0
      ? s.checked + 1
      : nextAlarm(s.checked, this.#ram, this.#ram[Register.B]!);
    const wait = Math.max(0, Math.ceil(second * 1000 - this.#now()));
    return Math.min(periodic, this.#context.monotonic() + wait);
  }

  expire(): void {
    this.#sync();
  }

  get #halted(): boolean {
    return (this.#ram[Register.B]! & B.SET) !== 0 ||
      (this.#ram[Register.A]! & A.DIVIDER_RESET) === A.DIVIDER_RESET;
  }

  /** Milliseconds since 1970 by the guest's clock, if it runs. */
  #now(): number {
    return this.#context.realtime() + this.#s.clock_offset;
  }

  #control(index: number, value: number): void {
    this.#sync();
    const halted = this.#halted;
    if (!halted) writeTime(this.#s.checked, this.#ram, this.#ram[Register.B]!);
    const before = this.#ram[index]!;
    if (index === Register.A) {
      this.#ram[index] = value & ~A.UIP;
      if ((before & ~A.UIP) !== (value & ~A.UIP)) this.#restartPeriodic();
    } else {
      this.#ram[index] = (value & B.SET) !== 0 ? value & ~B.UIE : value;
    }
    if (halted && !this.#halted) {
      this.#setTime(index === Register.A ? AFTER_RESET_MS : fraction(this.#now()));
    }
    this.#update();
    this.#context.rearm();
  }

  /** Starts the clock from the time registers. */
  #setTime(milliseconds = fraction(this.#now())): void {
    const second = readTime(this.#ram, this.#ram[Register.B]!);
    this.#s.clock_offset = second * 1000 + milliseconds - this.#context.realtime();
    this.#s.checked = second;
  }

  #readC(): number {
    this.#sync();
    const flags = this.#ram[Register.C]!;
    const irqf = (flags & this.#ram[Register.B]! & INTERRUPTS) !== 0 ? C.IRQF : 0;
    this.#ram[Register.C] = 0;
    this.#update();
    if ((this.#ram[Register.B]! & INTERRUPTS) !== 0) this.#context.rearm();
    return flags | irqf;
  }

  /** Sets the flags of what happened since the last time. */
  #sync(): void {
    const s = this.#s;
    let flags = 0;
    if (!this.#halted) {
      const second = Math.floor(this.#now() / 1000);
      if (second > s.checked) {
        flags |= C.UF;
        if (nextAlarm(s.checked, this.#ram, this.#ram[Register.B]!) <= second) flags |= C.AF;
      }
      s.checked = second;
    }
    const period = this.#period();
    const late = this.#context.monotonic() - s.next_periodic;
    if (period !== 0 && late >= 0) {
      flags |= C.PF;
      s.next_periodic = s.next_periodic + period * (Math.floor(late / period) + 1);
    }
    this.#ram[Register.C] = this.#ram[Register.C]! | flags;
    this.#update();
  }

  /** Milliseconds between periodic interrupts, 0 for never (table 5, 32.768 kHz time base). */
  #period(): number {
    const a = this.#ram[Register.A]!;
    const rate = a & A.RATE;
    if (rate === 0 || (a & A.DIVIDER_RESET) === A.DIVIDER_RESET) return 0;
    return 2 ** ((rate <= 2 ? rate + 7 : rate) - 1) * 1000 / 32_768;
  }

  #restartPeriodic(): void {
    const period = this.#period();
    this.#s.next_periodic = period === 0 ? 0 : this.#context.monotonic() + period;
  }

  #describeMachine(): void {
    const { lowMemory = 0, highMemory = 0, cpus = 1 } = this.#config;
    const put = (register: number, length: number, value: number) => {
      for (let i = 0; i < length; i++) this.#ram[register + i] = Math.floor(value / 2 ** (8 * i));
    };
    const word = (value: number) => Math.min(0xffff, Math.max(0, Math.floor(value)));
    this.#ram[Cmos.EQUIPMENT] = EQUIPMENT_FPU;
    put(Cmos.BASE_MEMORY, 2, Math.min(640, word(lowMemory / KIB)));
    put(Cmos.EXTENDED_MEMORY, 2, word((lowMemory - MIB) / KIB));
    put(Cmos.EXTENDED_MEMORY_POST, 2, word((lowMemory - MIB) / KIB));
    put(Cmos.MEMORY_16M, 2, word((lowMemory - 16 * MIB) / (64 * KIB)));
    put(Cmos.MEMORY_4G, 3, Math.floor(highMemory / (64 * KIB)));
    this.#ram[Cmos.CPUS] = cpus - 1;
  }

  #update(): void {
    const pending = this.#ram[Register.C]! & this.#ram[Register.B]! & INTERRUPTS;
    const level = pending !== 0 ? 1 : 0;
    if (this.#s.intr === level) return;
    this.#s.intr = level;
    this.#line.set(level === 1);
  }
}

function fraction(milliseconds: number): number {
  return (milliseconds % 1000 + 1000) % 1000;
}

/** The real-time clock with its CMOS RAM. */
export const rtc: DeviceType<RtcConfig> = {
  type: "rtc",
  state: RtcState,
  open: (config, context) => new Rtc(config, context),
};
