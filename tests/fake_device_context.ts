/**
 * A device's machine in a unit test: it records what the device does, and its clocks stand still
 * until the test moves them.
 *
 * @module
 */
import type {
  Device,
  DeviceContext,
  DeviceEvent,
  DeviceType,
  IoRange,
  StopKind,
  Width,
} from "../vmm/device.ts";
import { GuestMemory } from "../vmm/guest_memory.ts";

/** What a test may set about the machine it stands for. */
export interface FakeMachineOptions {
  /** Bytes of RAM at address 0; 64 KiB unless told. */
  memory?: number;
  /** Where the monotonic clock starts, in milliseconds. */
  monotonic?: number;
  /** Where the host's UTC clock starts, in milliseconds since 1970. */
  realtime?: number;
}

/** What {@linkcode createDeviceContext} gives: the context, and all that was done through it. */
export interface FakeMachine {
  /** What a device's `open` takes. */
  readonly context: DeviceContext;
  /** The bytes it put out, in order. */
  readonly output: number[];
  /** The output so far as text, each byte one character. */
  text(): string;
  /** The last level of each interrupt line that was driven, by GSI. */
  readonly irqLevels: Map<number, boolean>;
  /** Each call of an interrupt line's `set`, as `[gsi, level]`. */
  readonly irqLog: [number, boolean][];
  /** Each call of `stop`. */
  readonly stops: [kind: StopKind, status: number | undefined][];
  /** Each event that it told of. */
  readonly events: DeviceEvent[];
  /** Each condition that it had the vCPU wait for. */
  readonly holds: (() => boolean)[];
  /** How often it called `wake`. */
  wakes: number;
  /** How often the device called `rearm`. */
  rearms: number;
  /** Whether the reader of the output keeps up. */
  outputReady: boolean;
  /**
   * Moves both clocks on, and calls the device's `expire` at each deadline on the way as the
   * machine's timer would.
   *
   * @param ms Milliseconds
   * @param device The device whose deadlines are served, if it has any
   */
  advance(ms: number, device?: Device): void;
}

/**
 * Makes a context with a zeroed slice for a device's state.
 *
 * @param type The device's kind
 * @param options Memory and clocks
 * @returns The context and its records
 */
export function createDeviceContext(
  type: Pick<DeviceType, "type" | "state">,
  options: FakeMachineOptions = {},
): FakeMachine {
  let monotonic = options.monotonic ?? 1000;
  let realtime = options.realtime ?? Date.UTC(2024, 1, 29, 23, 59, 58);
  const output: number[] = [];
  const irqLevels = new Map<number, boolean>();
  const irqLog: [number, boolean][] = [];
  const stops: [StopKind, number | undefined][] = [];
  const events: DeviceEvent[] = [];
  const holds: (() => boolean)[] = [];
  const memory = new GuestMemory([
    { base: 0, buffer: new ArrayBuffer(options.memory ?? 0x1_0000), ram: true },
  ]);
  const machine: FakeMachine = {
    output,
    text: () => String.fromCharCode(...output),
    irqLevels,
    irqLog,
    stops,
    events,
    holds,
    wakes: 0,
    rearms: 0,
    outputReady: true,
    advance(ms, device) {
      const end = monotonic + ms;
      for (;;) {
        const due = device?.deadline?.() ?? Infinity;
        if (due > end) break;
        if (due > monotonic) {
          realtime += due - monotonic;
          monotonic = due;
        }
        device!.expire!();
        if (device!.deadline!() <= due) {
          throw new Error(`The device's deadline stays at ${due} ms after expire`);
        }
      }
      realtime += end - monotonic;
      monotonic = end;
    },
    context: {
      name: `${type.type}0`,
      state: new DataView(new SharedArrayBuffer(type.state.size)),
      memory,
      output: {
        write: (byte) => void output.push(byte),
        writeAll: (bytes) => void output.push(...bytes),
        get ready() {
          return machine.outputReady;
        },
      },
      interrupt: (gsi) => ({
        set(level) {
          irqLevels.set(gsi, level);
          irqLog.push([gsi, level]);
        },
      }),
      monotonic: () => monotonic,
      realtime: () => realtime,
      stop: (kind, status) => void stops.push([kind, status]),
      rearm: () => void machine.rearms++,
      pci: undefined,
      events: [],
      event: (event) => void events.push(event),
      wake: () => void machine.wakes++,
      hold: (ready) => void holds.push(ready),
      progress() {},
    },
  };
  return machine;
}

/**
 * The access a bus would make: finds the range that holds the address, and splits what is wider
 * than the range takes, or runs over its end, into the widest pieces that fit, low address first.
 * What no range holds reads as ones.
 *
 * @param device The device
 * @param address Port or guest-physical address
 * @param width Bytes, 1, 2, 4 or 8
 * @param value The value to write; reads if it is left out
 * @returns What was read, as a number of `width` bytes
 */
export function access(device: Device, address: number, width: number, value?: number): number {
  const range = device.ranges.find((r) => address >= r.base && address < r.base + r.size);
  const room = range === undefined
    ? 1
    : Math.min(range.maxWidth, range.base + range.size - address);
  const piece = ([4, 2, 1] as const).find((w) => w <= Math.min(width, room))!;
  const low = value === undefined ? undefined : value % 2 ** (8 * piece);
  const first = once(range, address, piece, low);
  if (piece >= width) return first;
  const rest = value === undefined ? undefined : Math.floor(value / 2 ** (8 * piece));
  return first + access(device, address + piece, width - piece, rest) * 2 ** (8 * piece);
}

function once(range: IoRange | undefined, address: number, width: Width, value?: number): number {
  if (range === undefined) return 2 ** (8 * width) - 1;
  if (value !== undefined) {
    range.handler.write(address - range.base, width, value);
    return value;
  }
  const got = range.handler.read(address - range.base, width);
  if (!Number.isInteger(got) || got < 0 || got >= 2 ** (8 * width)) {
    throw new RangeError(`Read of ${width} bytes at 0x${address.toString(16)} gave ${got}`);
  }
  return got;
}
