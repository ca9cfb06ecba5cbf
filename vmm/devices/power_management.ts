/**
 * The fixed ACPI hardware (ACPI 6.5 §4.8): PM1 events and control, the PM timer, one block of
 * general-purpose events, and the reset register. `fadt.ts` tells guests where they lie.
 *
 * There is no SMI command port, so the board is in ACPI mode from power-on.
 *
 * @module
 */
import { f64, struct, u16, u8 } from "../../ffi/struct.ts";
import { Acpi, Irq, Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, IoHandler, IoRange, Width } from "../device.ts";
import { moment } from "../moment.ts";

const State = struct("power_management", {
  /** When the timer was at 0. */
  timer_start: moment(),
  /** How many half periods of the timer had passed when TMR_STS was last brought up to date. */
  timer_half_periods: f64,
  pm1_status: u16,
  pm1_enable: u16,
  pm1_control: u16,
  gpe0_status: u16,
  gpe0_enable: u16,
  reset_control: u8,
});

/** PM1 status and enable bits (§4.8.3.1.1, §4.8.3.1.2). */
const Pm1 = { TMR: 1 << 0, GBL: 1 << 5, PWRBTN: 1 << 8, SLPBTN: 1 << 9, RTC: 1 << 10 } as const;
const PM1_EVENTS = Pm1.TMR | Pm1.GBL | Pm1.PWRBTN | Pm1.SLPBTN | Pm1.RTC;

/** PM1 control bits (§4.8.3.2.1). GBL_RLS and SLP_EN read as zero. */
const Control = {
  SCI_EN: 1 << 0,
  BM_RLD: 1 << 1,
  SLP_TYP: 7 << 10,
  SLP_EN: 1 << 13,
} as const;

/** Bit of the reset register that resets the CPU; what came before it says how, which is one here. */
const RST_CPU = 1 << 2;

/** The timer's top bit changes, and with it TMR_STS comes, every so many ticks (§4.8.3.3). */
const HALF_PERIOD = 2 ** 31;

/** General-purpose events of block 0: half of its 32 bits is status, half enables (§4.8.4.1). */
const GPES = 16;

const TICKS_PER_MS = Acpi.PM_TIMER_HZ / 1000;

/** The board's `pm` device. */
export const powerManagement: DeviceType = {
  type: "pm",
  state: State,
  open: (_config, context) => new PowerManagement(context),
};

class PowerManagement implements Device {
  readonly ranges: readonly IoRange[];
  readonly #context: DeviceContext;
  readonly #state: InstanceType<typeof State>;
  readonly #sci;
  /** Whether the machine goes on from a saved state, which the guest is to hear of once it runs. */
  #restored = false;

  constructor(context: DeviceContext) {
    this.#context = context;
    this.#state = new State(context.state);
    this.#sci = context.interrupt(Irq.SCI);
    const range = (base: number, size: number, maxWidth: Width, handler: IoHandler) =>
      ({ space: "pio", base, size, maxWidth, handler }) as const;
    this.ranges = [
      range(Port.PM, 4, 2, bytewise((at) => this.#readPm1(at), (at, b) => this.#writePm1(at, b))),
      range(
        Port.PM + 4,
        2,
        2,
        bytewise((at) => this.#readControl(at), (at, b) => this.#writeControl(at, b)),
      ),
      range(Port.PM + 8, 4, 4, {
        read: (offset, width) => Math.floor(this.#ticks() / 2 ** (8 * offset)) % 2 ** (8 * width),
        write() {},
      }),
      range(
        Port.GPE0,
        4,
        2,
        bytewise((at) => this.#readGpe0(at), (at, b) => this.#writeGpe0(at, b)),
      ),
      range(Port.RESET, 1, 1, {
        read: () => this.#state.reset_control,
        write: (_offset, _width, value) => this.#writeReset(value),
      }),
      // Accesses of 32 bits here are for PCI's address register (82441FX data sheet, CONFADD), be it
      // there or not. Taken apart, the second byte of an address would reset the machine.
      { ...range(Port.PCI_CONFIG, 4, 4, { read: ones, write() {} }), priority: -2 },
    ];
  }

  reset() {
    const state = this.#state;
    state.timer_half_periods = this.#halfPeriods();
    state.pm1_status = 0;
    state.pm1_enable = 0;
    state.pm1_control = Control.SCI_EN;
    state.gpe0_status = 0;
    state.gpe0_enable = 0;
    state.reset_control = 0;
    this.#update();
  }

  /** What the interrupt controllers are restored to has no interrupt that is raised now. */
  restored(moved = false) {
    this.#update();
    this.#restored = !moved;
  }

  /** `powerbutton`; `gpe`, whose value is the number of a general-purpose event. */
  action(name: string, value = ""): boolean {
    if (name === "powerbutton") this.#state.pm1_status |= Pm1.PWRBTN;
    else if (name === "gpe" && isGpe(value)) this.#state.gpe0_status |= 1 << Number(value);
    else return false;
    this.#update();
    return true;
  }

  deadline(): number {
    if (this.#restored) return 0;
    const { pm1_enable, pm1_status, timer_start, timer_half_periods } = this.#state;
    if ((pm1_enable & ~pm1_status & Pm1.TMR) === 0) return Infinity;
    // A tick late, so that rounding can't bring it before the change.
    return timer_start + ((timer_half_periods + 1) * HALF_PERIOD + 1) / TICKS_PER_MS;
  }

  expire() {
    if (this.#restored) this.#state.gpe0_status |= 1 << Acpi.GENERATION_GPE;
    this.#restored = false;
    this.#update();
  }

  #ticks(): number {
    return Math.floor((this.#context.monotonic() - this.#state.timer_start) * TICKS_PER_MS);
  }

  #halfPeriods(): number {
    return Math.floor(this.#ticks() / HALF_PERIOD);
  }

  /** Brings TMR_STS up to date, then drives SCI by what is both set and enabled (§4.8.3.1). */
  #update() {
    const state = this.#state;
    this.#countTimer();
    const pm1 = state.pm1_status & state.pm1_enable & PM1_EVENTS;
    const gpe0 = state.gpe0_status & state.gpe0_enable;
    this.#sci.set((pm1 | gpe0) !== 0);
    this.#context.rearm();
  }

  #countTimer() {
    const halfPeriods = this.#halfPeriods();
    if (halfPeriods === this.#state.timer_half_periods) return;
    this.#state.timer_half_periods = halfPeriods;
    this.#state.pm1_status |= Pm1.TMR;
  }

  #readPm1(at: number): number {
    this.#countTimer();
    return byteOf(at < 2 ? this.#state.pm1_status : this.#state.pm1_enable, at);
  }

  #writePm1(at: number, byte: number) {
    const state = this.#state;
    if (at < 2) {
      this.#countTimer();
      state.pm1_status &= ~placed(byte, at); // write 1 to clear
    } else {
      state.pm1_enable = withByte(state.pm1_enable, at, byte) & PM1_EVENTS;
    }
    this.#update();
  }

  #readControl(at: number): number {
    return byteOf(this.#state.pm1_control, at);
  }

  #writeControl(at: number, byte: number) {
    const written = withByte(this.#state.pm1_control, at, byte);
    this.#state.pm1_control = written & (Control.BM_RLD | Control.SLP_TYP) | Control.SCI_EN;
    const slpTyp = (written & Control.SLP_TYP) >> 10;
    // S5 is the only state that \_S5 and its like tell of; another SLP_TYP asks for nothing.
    if ((written & Control.SLP_EN) !== 0 && slpTyp === Acpi.S5_SLP_TYP) {
      this.#context.stop("poweroff");
    }
  }

  #readGpe0(at: number): number {
    return byteOf(at < 2 ? this.#state.gpe0_status : this.#state.gpe0_enable, at);
  }

  #writeGpe0(at: number, byte: number) {
    const state = this.#state;
    if (at < 2) state.gpe0_status &= ~placed(byte, at); // write 1 to clear
    else state.gpe0_enable = withByte(state.gpe0_enable, at, byte);
    this.#update();
  }

  #writeReset(value: number) {
    this.#state.reset_control = value & ~RST_CPU;
    if ((value & RST_CPU) !== 0) this.#context.stop("reset");
  }
}

/** Serves registers a byte at a time: ACPI lets a guest access them in any width (§4.8.2.1). */
function bytewise(
  read: (at: number) => number,
  write: (at: number, byte: number) => void,
): IoHandler {
  return {
    read(offset, width) {
      let value = 0;
      for (let i = 0; i < width; i++) value |= read(offset + i) << (8 * i);
      return value >>> 0;
    },
    write(offset, width, value) {
      for (let i = 0; i < width; i++) write(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };
}

/** The byte of a 16-bit register that an address within a pair of registers names. */
function byteOf(register: number, at: number): number {
  return (register >> (8 * (at & 1))) & 0xff;
}

/** A byte moved to where that address has it. */
function placed(byte: number, at: number): number {
  return byte << (8 * (at & 1));
}

/** The register with that byte replaced. */
function withByte(register: number, at: number, byte: number): number {
  return register & ~placed(0xff, at) | placed(byte, at);
}

function isGpe(value: string): boolean {
  return /^\d+$/.test(value) && Number(value) < GPES;
}

/** What a read gives where nobody answers. */
function ones(_offset: number, width: Width): number {
  return 2 ** (8 * width) - 1;
}
