/**
 * A vCPU's whole state: as bytes between two VMs of this process, as JSON in a stream.
 *
 * @module
 */
import { DocumentError, HostError } from "../../ffi/errors.ts";
import { type CpuidEntry, MAX_CPUID_ENTRIES } from "../../ffi/kvm/cpuid.ts";
import {
  readVcpuBytes,
  type StateTraits,
  type VcpuBytes,
  writeVcpuBytes,
} from "../../ffi/kvm/state_bytes.ts";
import {
  kvm_debugregs,
  kvm_mp_state,
  kvm_regs,
  kvm_sregs,
  kvm_vcpu_events,
  kvm_xcrs,
} from "../../ffi/kvm/structs.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { Json, StructType } from "../../ffi/struct.ts";
import { base64, bytesOfBase64, field, hex, objectOf, shown, wideNumber } from "./json_fields.ts";

/** IA32_TIME_STAMP_COUNTER. */
export const IA32_TSC = 0x10;

/** A vCPU's state. */
export interface VcpuState {
  /** What KVM has of it. */
  readonly bytes: VcpuBytes;
  /** Its time stamp counter when the clock was read. */
  readonly tsc: bigint;
  /** What CPUID tells it. */
  readonly cpuid: readonly CpuidEntry[];
}

/** A piece of the state in JSON. */
interface Part {
  readonly key: string;
  readonly set: VcpuBytes["pieces"][number]["set"];
  readonly toJson: (bytes: Uint8Array<ArrayBuffer>) => Json;
  /** Writes what it says into bytes that are zero. */
  readonly fromJson: (json: Json, bytes: Uint8Array<ArrayBuffer>) => void;
}

// deno-lint-ignore no-explicit-any -- any layout at all
function laidOut(key: string, set: Part["set"], type: StructType<any>): Part {
  return {
    key,
    set,
    toJson: (bytes) => new type(new DataView(bytes.buffer)).toJSON() as Json,
    fromJson: (json, bytes) => new type(new DataView(bytes.buffer)).fromJSON(json),
  };
}

/** Opaque bytes, the zeros at their end left out. */
function opaque(key: string, set: Part["set"]): Part {
  return {
    key,
    set,
    toJson: (bytes) => base64(bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1)),
    fromJson(json, bytes) {
      const content = bytesOfBase64(json);
      if (content.length > bytes.length) {
        throw new TypeError(`has ${content.length} bytes, more than this host's ${bytes.length}`);
      }
      bytes.set(content);
    },
  };
}

/** MAX_IO_MSRS of KVM. */
const MOST_MSRS = 256;
/** Bytes from one register of the local APIC to the next; each has 32 bits. */
const APIC_STEP = 16;

const PARTS: readonly Part[] = [
  laidOut("regs", "SET_REGS", kvm_regs),
  laidOut("sregs", "SET_SREGS", kvm_sregs),
  laidOut("debugregs", "SET_DEBUGREGS", kvm_debugregs),
  laidOut("xcrs", "SET_XCRS", kvm_xcrs),
  laidOut("events", "SET_VCPU_EVENTS", kvm_vcpu_events),
  laidOut("mp_state", "SET_MP_STATE", kvm_mp_state),
  {
    key: "lapic",
    set: "SET_LAPIC",
    toJson(bytes) {
      const view = new DataView(bytes.buffer);
      const registers: Record<string, Json> = {};
      for (let at = 0; at < bytes.length; at += APIC_STEP) {
        const value = view.getUint32(at, true);
        if (value !== 0) registers[hex(at)] = hex(value);
      }
      return registers;
    },
    fromJson(json, bytes) {
      const view = new DataView(bytes.buffer);
      for (const [at, value] of Object.entries(objectOf(json))) {
        const offset = /^0x[0-9a-f]{1,3}$/.test(at) ? Number(at) : NaN;
        if (!Number.isInteger(offset / APIC_STEP) || offset >= bytes.length) {
          throw new TypeError(`has no register ${shown(at)}`);
        }
        view.setUint32(offset, Number(wideNumber(value, 32)), true);
      }
    },
  },
  opaque("xsave", "SET_XSAVE"),
  opaque("nested", "SET_NESTED_STATE"),
];

/**
 * Reads a vCPU's state; it must not run.
 *
 * @param vcpu The vCPU
 * @param traits What the host's KVM has
 */
export function saveVcpu(vcpu: Vcpu, traits: StateTraits): VcpuState {
  return {
    tsc: vcpu.getMsrs([IA32_TSC]).get(IA32_TSC) ?? 0n,
    bytes: readVcpuBytes(vcpu, traits),
    cpuid: vcpu.getCpuid(),
  };
}

/**
 * Writes a vCPU's state; it must not run, and has its CPUID.
 *
 * @param vcpu The vCPU
 * @param state What {@linkcode saveVcpu} gave
 * @param traits What the host's KVM has
 * @param tsc Its time stamp counter, if that is to go on from somewhere
 * @throws {DocumentError} If KVM does not take a part of it, naming that
 */
export function restoreVcpu(
  vcpu: Vcpu,
  state: VcpuState,
  traits: StateTraits,
  tsc: bigint | undefined,
): void {
  // Before the deadline of the local APIC's timer, which is measured by it.
  if (tsc !== undefined) vcpu.setMsrs([[IA32_TSC, tsc]]);
  try {
    writeVcpuBytes(vcpu, state.bytes, traits);
  } catch (error) {
    const part = error instanceof HostError
      ? PARTS.find(({ set }) => error.syscall === `KVM_${set}`)
      : undefined;
    if (part === undefined) throw error;
    throw new DocumentError(
      `cpu/${vcpu.id}.json, ${part.key}: ${(error as HostError).message}`,
      { cause: error, hint: "a CPU has no such state, or this host's KVM can't give it" },
    );
  }
}

/**
 * A vCPU's state as a record of a stream.
 *
 * @param state The state
 */
export function vcpuToJson({ bytes, tsc, cpuid }: VcpuState): Record<string, Json> {
  const json: Record<string, Json> = {};
  for (const { key, set, toJson } of PARTS) {
    const piece = bytes.pieces.find((other) => other.set === set);
    if (piece !== undefined) json[key] = toJson(piece.bytes);
  }
  return {
    ...json,
    tsc: hex(tsc),
    msrs: Object.fromEntries([...bytes.msrs].map(([index, value]) => [hex(index), hex(value)])),
    cpuid: cpuid.map(({ function: leaf, index, flags, eax, ebx, ecx, edx }) => ({
      leaf: hex(leaf),
      index,
      flags,
      eax: hex(eax),
      ebx: hex(ebx),
      ecx: hex(ecx),
      edx: hex(edx),
    })),
  };
}

/**
 * A vCPU's state from a record of a stream. What the record leaves out is as a vCPU has it at power-on.
 *
 * @param json The record
 * @param where Its name
 * @param powerOn A state of this host, whose pieces say how long each is here
 * @throws {DocumentError} Naming the key at fault
 */
export function vcpuFromJson(json: Json, where: string, powerOn: VcpuBytes): VcpuState {
  const record = field(where, "the record", () => objectOf(json));
  const pieces = powerOn.pieces.map(({ set, bytes }) => {
    const part = PARTS.find((other) => other.set === set);
    const value = part === undefined ? undefined : record[part.key];
    if (part === undefined || value === undefined) return { set, bytes };
    const own = new Uint8Array(bytes.length);
    field(where, part.key, () => part.fromJson(value, own));
    return { set, bytes: own };
  });
  const missing = PARTS.find(({ key, set }) =>
    record[key] !== undefined && !powerOn.pieces.some((piece) => piece.set === set)
  );
  if (missing !== undefined && missing.key !== "nested") {
    throw new DocumentError(`${where}: "${missing.key}" is what this machine has not`, {
      hint: '"irqchip" of vm.json says whether there are local APICs',
    });
  }
  const msrs = new Map<number, bigint>();
  field(where, "msrs", () => {
    const entries = Object.entries(objectOf(record.msrs ?? {}));
    if (entries.length > MOST_MSRS) {
      throw new TypeError(`has ${entries.length} registers, more than ${MOST_MSRS}`);
    }
    for (const [index, value] of entries) {
      msrs.set(Number(wideNumber(index, 32)), wideNumber(value, 64));
    }
  });
  return {
    bytes: { pieces, msrs },
    tsc: field(where, "tsc", () => wideNumber(record.tsc ?? "0x0", 64)),
    cpuid: field(where, "cpuid", () => cpuidFromJson(record.cpuid)),
  };
}

function cpuidFromJson(json: Json | undefined): CpuidEntry[] {
  if (!Array.isArray(json)) throw new TypeError("is no array of leaves");
  if (json.length > MAX_CPUID_ENTRIES) {
    throw new TypeError(`has ${json.length} leaves, more than ${MAX_CPUID_ENTRIES}`);
  }
  return json.map((leaf) => {
    const { index = 0, flags = 0, ...words } = objectOf(leaf);
    const word = (key: string) => Number(wideNumber(words[key], 32));
    const small = (value: Json) =>
      Number(wideNumber(typeof value === "number" ? hex(value) : value, 32));
    return {
      function: word("leaf"),
      index: small(index),
      flags: small(flags),
      eax: word("eax"),
      ebx: word("ebx"),
      ecx: word("ecx"),
      edx: word("edx"),
    };
  });
}
