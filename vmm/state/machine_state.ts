/**
 * The whole state of a machine but for the bytes of its memory: taken from one that is frozen, put into
 * one that was made alike and has not been started.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { sameCpuid } from "../../ffi/kvm/cpuid.ts";
import { attempt, call } from "../../ffi/kvm/call.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import {
  readBoardBytes,
  readVcpuBytes,
  type StateTraits,
  writeBoardBytes,
} from "../../ffi/kvm/state_bytes.ts";
import type { Json } from "../../ffi/struct.ts";
import type { VmDocument } from "../document.ts";
import type { FrozenMachine, Machine } from "../machine.ts";
import { type BoardState, nanosecondsSince, readClock, writeClock } from "./board_state.ts";
import { type DeviceRecord, restoreDevices, saveDevices } from "./device_state.ts";
import { type SavedRegion, savedRegions } from "./regions.ts";
import { unknownOf, withUnknown } from "./unknown_keys.ts";
import { restoreVcpu, saveVcpu, vcpuFromJson, type VcpuState } from "./vcpu_state.ts";

/** A machine's state but for its memory. */
export interface MachineSnapshot {
  /** The document that makes such a machine. */
  readonly document: VmDocument;
  readonly regions: readonly SavedRegion[];
  readonly vcpus: readonly VcpuState[];
  readonly board: BoardState;
  /** What its devices have in their registers, and beside. */
  readonly devices: readonly DeviceRecord[];
  /** What fw_cfg hands out, if it has one. */
  readonly fwCfg?: Readonly<Record<string, unknown>>;
  /** Keys of vm.json's `state` that nobody knows. */
  readonly unknown?: Readonly<Record<string, Json>>;
}

/** How a machine goes on. */
export interface RestoreOptions {
  /** Its clocks stand for as long as it did not run; otherwise they are right again. Default false. */
  readonly clockStopped?: boolean;
  /** It is the one machine that goes on elsewhere, no copy that its guest should hear of. Default false. */
  readonly moved?: boolean;
  /** It is a state of the machine itself, so that its time stamp counters are right. Default false. */
  readonly rehearsal?: boolean;
}

const TSC_TOLERANCE = 250e-6;
/** Milliseconds to the second, as time stamp counters are measured. */
const NANOSECONDS_TO_MILLISECONDS = 1_000_000n;

/** What this host's KVM has, which stays. */
let hostTraits: Omit<StateTraits, "irqchip"> | undefined;

function traitsOf(irqchip: boolean): StateTraits {
  if (hostTraits === undefined) {
    using kvm = new Kvm();
    hostTraits = {
      msrs: kvm.msrIndices(),
      xsaveBytes: kvm.capability(Capability.XSAVE2),
      nested: kvm.capability(Capability.NESTED_STATE) > 0,
    };
  }
  return { ...hostTraits, irqchip };
}

/**
 * Takes a machine's state.
 *
 * @param machine The machine
 * @param frozen What its `freeze` shows
 * @throws {VmError} If a part of it lives in this process only
 */
export function saveMachine(machine: Machine, frozen: FrozenMachine): MachineSnapshot {
  const { vcpus, vmFd } = frozen;
  for (const { type, name, overlay } of machine.description.devices ?? []) {
    if (type !== "disk" || overlay !== "temporary") continue;
    throw new VmError(`${name}: its temporary overlay is gone with its VM's process`, {
      hint: "a VM whose state is to be taken has `hvsh disk IMAGE --overlay FILE`",
    });
  }
  const traits = traitsOf(machine.interruptible);
  const { firmwareItems } = machine;
  const unknown = unknownOf(machine);
  return {
    document: machine.description,
    regions: savedRegions(machine.slots),
    vcpus: vcpus.map((vcpu) => saveVcpu(vcpu, traits)),
    board: {
      board: traits.irqchip ? readBoardBytes(vmFd) : undefined,
      clock: readClock(vmFd, Math.max(0, call(vcpus[0]!.fd, "GET_TSC_KHZ"))),
    },
    devices: saveDevices(frozen).map((record) =>
      withUnknown(record, unknown?.devices.get(record.name))
    ),
    ...(unknown === undefined ? {} : { unknown: unknown.state }),
    ...(firmwareItems === undefined ? {} : { fwCfg: firmwareItems }),
  };
}

/**
 * Puts a state into a machine that was made from its document and has not been started. Its memory is
 * there before.
 *
 * @param machine The machine
 * @param snapshot The state
 * @param options How it goes on
 * @throws {DocumentError} If it is no state of such a machine
 * @throws {HostError} If KVM does not take it
 */
export async function restoreMachine(
  machine: Machine,
  snapshot: MachineSnapshot,
  options: RestoreOptions = {},
): Promise<void> {
  const { board: { board, clock }, devices, vcpus } = snapshot;
  await machine.freeze((frozen) => {
    const traits = traitsOf(machine.interruptible);
    restoreDevices(
      frozen,
      new Map(devices.map((record) => [record.name, record as unknown as Json])),
      options.moved,
    );
    // Devices have driven their lines by now; what the controllers made of that is in their state.
    if (board !== undefined && traits.irqchip) writeBoardBytes(frozen.vmFd, board);
    const passed = options.clockStopped ? 0n : nanosecondsSince(clock);
    using kvm = new Kvm();
    writeClock(kvm, frozen.vmFd, clock, passed);
    const ticks = passed * BigInt(Math.floor(clock.tscKhz)) / NANOSECONDS_TO_MILLISECONDS;
    for (const [id, state] of vcpus.entries()) {
      const vcpu = frozen.vcpus[id]!;
      if (!sameCpuid(state.cpuid, vcpu.getCpuid())) vcpu.setCpuid(state.cpuid);
      if (!isSameRate(clock.tscKhz, call(vcpu.fd, "GET_TSC_KHZ"))) {
        attempt(vcpu.fd, "SET_TSC_KHZ", Math.round(clock.tscKhz));
      }
      // KVM takes the first write of a counter as it is, and bends later ones to that.
      const tsc = options.rehearsal === true ? undefined : state.tsc + ticks;
      restoreVcpu(vcpu, state, traits, tsc);
      // A guest with kvmclock does not take the time that has passed for a lockup (api.rst 4.72).
      if (passed > 0n) attempt(vcpu.fd, "KVMCLOCK_CTRL");
    }
  });
}

/**
 * Reads vCPUs' records by the lengths that this host's KVM has.
 *
 * @param frozen The machine that is to get them
 * @param machine The same
 * @param records Records by number
 * @throws {DocumentError} Naming the record and the key at fault
 */
export function vcpusFromJson(
  frozen: Pick<FrozenMachine, "vcpus">,
  machine: Machine,
  records: ReadonlyMap<number, Json>,
): VcpuState[] {
  const traits = traitsOf(machine.interruptible);
  return frozen.vcpus.map((vcpu) => {
    const where = `cpu/${vcpu.id}.json`;
    return vcpuFromJson(records.get(vcpu.id)!, where, readVcpuBytes(vcpu, traits));
  });
}

/**
 * Whether a guest that knows one rate of its time stamp counters does not mind another: NTP corrects as much.
 *
 * @param khz One rate; 0 if it is not known
 * @param other The other
 */
export function isSameRate(khz: number, other: number): boolean {
  return khz === 0 || Math.abs(khz - other) <= khz * TSC_TOLERANCE;
}
