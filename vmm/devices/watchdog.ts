/**
 * A watchdog timer: once started, it acts on the machine unless the guest reloads it in time. Its
 * registers have no standard; the WDAT table (`vmm/boot/wdat.ts`) tells a guest how each action of
 * Microsoft's "Hardware Watchdog Timers Design Specification" (1.01) is done with them, which is all
 * that Linux's `wdat_wdt` and Windows want.
 *
 *     +0  1  control   bit 0 runs; bit 1 an expiry resets the machine (read only)
 *     +1  1  status    bit 0 it has expired since that was last cleared; write 1 to clear
 *     +2  2  countdown what a reload starts from, in counts of 100 ms
 *     +4  2  current   counts that are left; any write reloads
 *
 * Each is accessed in its own width; of other accesses, reads give ones and writes do nothing.
 *
 * @module
 */
import * as v from "valibot";
import { type Struct, struct, u16, u8 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, IoHandler, Width } from "../device.ts";
import { moment } from "../moment.ts";

/** What an expiry does to the machine. `none` only tells whoever watches the VM. */
export const WATCHDOG_ACTIONS = ["reset", "poweroff", "panic", "none"] as const;

/** A count's length, and how many there can be. */
export const WatchdogTime = { PERIOD_MS: 100, MIN_COUNT: 1, MAX_COUNT: 0xffff } as const;

/** The longest time that a countdown can have, in seconds. */
export const MOST_WATCHDOG_SECONDS: number = WatchdogTime.MAX_COUNT * WatchdogTime.PERIOD_MS / 1000;

/** Offsets of the registers from {@linkcode Port.WATCHDOG}. */
export const WatchdogRegister = { CONTROL: 0, STATUS: 1, COUNTDOWN: 2, CURRENT: 4 } as const;
/** Bits of the control register. */
export const WatchdogControl = { RUN: 1 << 0, REBOOT: 1 << 1 } as const;
/** The bit of the status register. */
export const WATCHDOG_EXPIRED = 1 << 0;

const SIZE = 6;
/** The countdown at power-on, as Linux's drivers have theirs. */
const DEFAULT_SECONDS = 30;

const schema = v.looseObject({
  /** What an expiry does. */
  action: v.optional(v.picklist(WATCHDOG_ACTIONS), "reset"),
  /** Seconds. With it the watchdog runs from power-on, so that a guest that never gets up is noticed. */
  timeout: v.optional(
    v.pipe(
      v.number(),
      v.minValue(WatchdogTime.PERIOD_MS / 1000),
      v.maxValue(MOST_WATCHDOG_SECONDS),
    ),
  ),
});

/** A watchdog's entry in the document. */
export type WatchdogConfig = v.InferOutput<typeof schema>;

const State = struct("watchdog", {
  /** When it expires, on the monotonic clock; Infinity while it does not run, or has expired. */
  deadline: moment(Infinity),
  /** Counts that a reload starts from. */
  countdown: u16,
  running: u8,
  /** Whether it has expired since the guest last cleared that; a reset of the machine leaves it. */
  expired: u8,
});

/** The `watchdog` device. */
export const watchdog: DeviceType<WatchdogConfig> = {
  type: "watchdog",
  state: State,
  schema,
  open: (config, context) => new Watchdog(config, context),
};

class Watchdog implements Device, IoHandler {
  readonly ranges = [
    { space: "pio", base: Port.WATCHDOG, size: SIZE, maxWidth: 2, handler: this },
  ] as const;
  readonly #config: WatchdogConfig;
  readonly #context: DeviceContext;
  readonly #state: Struct<typeof State>;

  constructor(config: WatchdogConfig, context: DeviceContext) {
    this.#config = config;
    this.#context = context;
    this.#state = new State(context.state);
  }

  reset(): void {
    const { timeout } = this.#config;
    const state = this.#state;
    state.countdown = Math.ceil((timeout ?? DEFAULT_SECONDS) * 1000 / WatchdogTime.PERIOD_MS);
    state.running = timeout === undefined ? 0 : 1;
    this.#reload();
  }

  read(offset: number, width: Width): number {
    const state = this.#state;
    switch (registerAt(offset, width)) {
      case WatchdogRegister.CONTROL:
        return (state.running !== 0 ? WatchdogControl.RUN : 0) |
          (this.#config.action === "reset" ? WatchdogControl.REBOOT : 0);
      case WatchdogRegister.STATUS:
        return state.expired !== 0 ? WATCHDOG_EXPIRED : 0;
      case WatchdogRegister.COUNTDOWN:
        return state.countdown;
      case WatchdogRegister.CURRENT:
        return this.#left();
      default:
        return 2 ** (8 * width) - 1;
    }
  }

  write(offset: number, width: Width, value: number): void {
    const state = this.#state;
    switch (registerAt(offset, width)) {
      case WatchdogRegister.CONTROL: {
        const run = value & WatchdogControl.RUN;
        if (run === state.running) return;
        state.running = run;
        this.#reload();
        return;
      }
      case WatchdogRegister.STATUS:
        if ((value & WATCHDOG_EXPIRED) !== 0) state.expired = 0;
        return;
      case WatchdogRegister.COUNTDOWN:
        state.countdown = Math.max(value, WatchdogTime.MIN_COUNT);
        return;
      case WatchdogRegister.CURRENT:
        this.#reload();
        return;
    }
  }

  deadline(): number {
    return this.#state.deadline;
  }

  restored(): void {
    const state = this.#state;
    state.running &= WatchdogControl.RUN;
    state.countdown = Math.max(state.countdown, WatchdogTime.MIN_COUNT);
    this.#context.rearm();
  }

  /** A guest that stands still can't reload it. */
  stood(milliseconds: number): void {
    this.#state.deadline += milliseconds;
  }

  expire(): void {
    const state = this.#state;
    if (this.#context.monotonic() < state.deadline) return; // reloaded meanwhile
    const { action } = this.#config;
    state.deadline = Infinity;
    state.expired = 1;
    const seconds = state.countdown * WatchdogTime.PERIOD_MS / 1000;
    this.#context.event({
      kind: "watchdog",
      message: `the guest let its watchdog run out: no sign of life for ${seconds} s`,
      action,
    });
    if (action !== "none") this.#context.stop(action);
  }

  /** Counts that are left, the one that has begun included. */
  #left(): number {
    const { deadline, running } = this.#state;
    if (running === 0 || deadline === Infinity) return 0;
    const left = Math.ceil((deadline - this.#context.monotonic()) / WatchdogTime.PERIOD_MS);
    return Math.min(Math.max(left, 0), WatchdogTime.MAX_COUNT);
  }

  #reload(): void {
    const state = this.#state;
    state.deadline = state.running === 0
      ? Infinity
      : this.#context.monotonic() + state.countdown * WatchdogTime.PERIOD_MS;
    this.#context.rearm();
  }
}

/** The register at an offset, or undefined if that width is not its own. */
function registerAt(offset: number, width: Width): number | undefined {
  const own = offset < WatchdogRegister.COUNTDOWN ? 1 : 2;
  return width === own && (own === 1 || offset % 2 === 0) ? offset : undefined;
}
