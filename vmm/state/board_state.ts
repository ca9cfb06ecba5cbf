/**
 * What KVM has of a VM beside its vCPUs: interrupt controllers, the interval timer, the clock.
 *
 * @module
 */
import { callWith } from "../../ffi/kvm/call.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import type { Kvm } from "../../ffi/kvm/kvm.ts";
import type { BoardBytes } from "../../ffi/kvm/state_bytes.ts";
import {
  kvm_clock_data,
  kvm_ioapic_state,
  kvm_pic_state,
  kvm_pit_state2,
} from "../../ffi/kvm/structs.ts";
import type { Json } from "../../ffi/struct.ts";
import { field, hex, objectOf, shown, wideNumber } from "./json_fields.ts";

/** KVM_CLOCK_REALTIME: the reading says what time it was on the host, and KVM goes on from there. */
const CLOCK_REALTIME = 4;
const NANOSECONDS = 1_000_000n;
/** KVM_GET_TSC_KHZ gives an `int`. */
const MOST_KHZ = 2 ** 31;
/** Bytes of a `struct kvm_irqchip` before the controller. */
const CHIP = 8;
const CHIPS = [
  ["pic_master", kvm_pic_state],
  ["pic_slave", kvm_pic_state],
  ["ioapic", kvm_ioapic_state],
] as const;

/** The clock of a VM, and when it was read. */
export interface ClockState {
  /** Nanoseconds of kvmclock. */
  readonly clock: bigint;
  /** Nanoseconds since 1970 on the host then. */
  readonly realtime: bigint;
  /** What its vCPUs' time stamp counters count a millisecond; 0 if the host can't tell. */
  readonly tscKhz: number;
}

/** What KVM has of a VM. */
export interface BoardState {
  /** Without it, the machine has none. */
  readonly board: BoardBytes | undefined;
  readonly clock: ClockState;
}

/**
 * Reads a VM's clock.
 *
 * @param vmFd The VM
 * @param tscKhz What its vCPUs' time stamp counters count a millisecond
 */
export function readClock(vmFd: number, tscKhz: number): ClockState {
  const data = new kvm_clock_data();
  callWith(vmFd, "GET_CLOCK", data.bytes());
  const told = (data.flags & CLOCK_REALTIME) !== 0;
  const realtime = told ? data.realtime : BigInt(Date.now()) * NANOSECONDS;
  return { clock: data.clock, realtime, tscKhz };
}

/**
 * Nanoseconds that have passed since a clock was read; a host whose own clock is behind counts none.
 *
 * @param state The reading
 */
export function nanosecondsSince({ realtime }: ClockState): bigint {
  const passed = BigInt(Date.now()) * NANOSECONDS - realtime;
  return passed > 0n ? passed : 0n;
}

/**
 * Sets a VM's clock.
 *
 * @param kvm /dev/kvm
 * @param vmFd The VM
 * @param state The reading that it goes on from
 * @param passed Nanoseconds that the guest shall find to have passed since
 */
export function writeClock(kvm: Kvm, vmFd: number, { clock }: ClockState, passed: bigint): void {
  if (kvm.capability(Capability.ADJUST_CLOCK) === 0) return;
  const data = new kvm_clock_data();
  data.clock = clock + passed;
  callWith(vmFd, "SET_CLOCK", data.bytes());
}

/**
 * The state as a record of a stream.
 *
 * @param state The state
 */
export function boardToJson({ board, clock }: BoardState): Record<string, Json> {
  const json: Record<string, Json> = {
    clock: {
      clock: hex(clock.clock),
      realtime: hex(clock.realtime),
      tsc_khz: clock.tscKhz,
    },
  };
  if (board === undefined) return json;
  for (const [i, [key, type]] of CHIPS.entries()) {
    const bytes = board.irqchips[i]!;
    json[key] = new type(new DataView(bytes.buffer, CHIP)).toJSON() as Json;
  }
  json.pit = new kvm_pit_state2(new DataView(board.pit.buffer)).toJSON() as Json;
  return json;
}

/**
 * The state from a record of a stream.
 *
 * @param json The record
 * @param where Its name
 * @throws {DocumentError} Naming the key at fault
 */
export function boardFromJson(json: Json, where: string): BoardState {
  const record = field(where, "the record", () => objectOf(json));
  const clock = field(where, "clock", () => {
    const { clock = "0x0", realtime = "0x0", tsc_khz: tscKhz = 0 } = objectOf(record.clock ?? {});
    if (typeof tscKhz !== "number" || !(tscKhz >= 0 && tscKhz < MOST_KHZ)) {
      throw new TypeError(`has tsc_khz ${shown(tscKhz)}, which is no frequency`);
    }
    return { clock: wideNumber(clock, 64), realtime: wideNumber(realtime, 64), tscKhz };
  });
  if (record.ioapic === undefined) return { board: undefined, clock };
  const irqchips = CHIPS.map(([key, type], id) => {
    const bytes = new Uint8Array(520);
    bytes[0] = id;
    field(where, key, () => new type(new DataView(bytes.buffer, CHIP)).fromJSON(said(record[key])));
    return bytes;
  });
  const pit = new Uint8Array(kvm_pit_state2.size);
  field(
    where,
    "pit",
    () => new kvm_pit_state2(new DataView(pit.buffer)).fromJSON(said(record.pit)),
  );
  return { board: { irqchips, pit }, clock };
}

/** What a record leaves out is zero. */
function said(json: Json | undefined): Json {
  return json === undefined ? {} : json;
}
