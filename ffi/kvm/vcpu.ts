/**
 * A vCPU as an object that owns its descriptor and mapping; its registers, MSRs and local APIC.
 *
 * @module
 */
import { closeFile } from "../files.ts";
import { Mapping } from "../mapping.ts";
import { call, callWith } from "./call.ts";
import { type CpuidEntry, MAX_CPUID_ENTRIES, packCpuid, unpackCpuid } from "./cpuid.ts";
import type { Struct } from "../struct.ts";
import {
  kvm_debugregs,
  kvm_interrupt,
  kvm_mp_state,
  kvm_msr_entry,
  kvm_regs,
  kvm_sregs,
  kvm_vcpu_events,
  type kvm_x86_mce,
  kvm_xcrs,
  type KvmRegs,
  type KvmSregs,
} from "./structs.ts";

/** A vCPU: its registers here, its KVM_RUN loop in a thread of its own. */
export class Vcpu implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  /** Its number and APIC id. */
  readonly id: number;
  /** `struct kvm_run` and what follows it. */
  readonly run: Mapping;

  /**
   * @param fd What KVM_CREATE_VCPU gave
   * @param id Its number
   * @param mmapSize Bytes of its mapping
   */
  constructor(fd: number, id: number, mmapSize: number) {
    this.fd = fd;
    this.id = id;
    this.run = new Mapping(fd, mmapSize);
  }

  /** Reads the general registers. Blocks while another thread is in KVM_RUN. */
  getRegs(): KvmRegs {
    return readRegs(this.fd);
  }

  /** Writes the general registers. */
  setRegs(regs: KvmRegs): void {
    callWith(this.fd, "SET_REGS", regs.bytes());
  }

  /** Reads segments, control registers and tables. */
  getSregs(): KvmSregs {
    return readSregs(this.fd);
  }

  /** Writes segments, control registers and tables. */
  setSregs(sregs: KvmSregs): void {
    callWith(this.fd, "SET_SREGS", sregs.bytes());
  }

  /** Says what CPUID gives the guest; before its first run. */
  setCpuid(entries: readonly CpuidEntry[]): void {
    callWith(this.fd, "SET_CPUID2", new Uint8Array(packCpuid(entries).buffer));
  }

  /** Reads back what CPUID gives: KVM may have added features to what was set. */
  getCpuid(): CpuidEntry[] {
    const buffer = packCpuid([], MAX_CPUID_ENTRIES);
    callWith(this.fd, "GET_CPUID2", new Uint8Array(buffer.buffer));
    return unpackCpuid(buffer);
  }

  /**
   * Reads MSRs.
   *
   * @param indices Their numbers
   * @returns Values by number; those that KVM refused are left out
   */
  getMsrs(indices: readonly number[]): Map<number, bigint> {
    const values = new Map<number, bigint>();
    let rest = [...indices];
    while (rest.length > 0) {
      const buffer = packMsrs(rest.map((index) => [index, 0n]));
      const done = callWith(this.fd, "GET_MSRS", new Uint8Array(buffer.buffer));
      for (let i = 0; i < done; i++) {
        values.set(rest[i]!, new kvm_msr_entry(buffer, 8 + i * kvm_msr_entry.size).data);
      }
      rest = rest.slice(done + 1); // it stops at the first one that it refuses
    }
    return values;
  }

  /**
   * Writes MSRs, in order.
   *
   * @param values Pairs of number and value
   * @returns Numbers of those that KVM refused
   */
  setMsrs(values: Iterable<readonly [index: number, data: bigint]>): number[] {
    const refused: number[] = [];
    let rest = [...values];
    while (rest.length > 0) {
      const done = callWith(this.fd, "SET_MSRS", new Uint8Array(packMsrs(rest).buffer));
      if (done < rest.length) refused.push(rest[done]![0]);
      rest = rest.slice(done + 1);
    }
    return refused;
  }

  /** The local APIC's registers, one page (api.rst §4.57). */
  getLapic(): Uint8Array<ArrayBuffer> {
    const page = new Uint8Array(1024);
    callWith(this.fd, "GET_LAPIC", page);
    return page;
  }

  /** Writes the local APIC's registers. */
  setLapic(page: Uint8Array<ArrayBuffer>): void {
    callWith(this.fd, "SET_LAPIC", page);
  }

  /** Reads the debug registers (api.rst §4.66). */
  getDebugRegs(): Struct<typeof kvm_debugregs> {
    const regs = new kvm_debugregs();
    callWith(this.fd, "GET_DEBUGREGS", regs.bytes());
    return regs;
  }

  /** Writes the debug registers. */
  setDebugRegs(regs: Struct<typeof kvm_debugregs>): void {
    callWith(this.fd, "SET_DEBUGREGS", regs.bytes());
  }

  /** The FPU and vector registers as XSAVE stores them, not compacted (api.rst §4.42). */
  getXsave(): Uint8Array<ArrayBuffer> {
    const area = new Uint8Array(4096);
    callWith(this.fd, "GET_XSAVE", area);
    return area;
  }

  /** Writes the FPU and vector registers; XSTATE_BV says which parts are not in their initial state. */
  setXsave(area: Uint8Array<ArrayBuffer>): void {
    callWith(this.fd, "SET_XSAVE", area);
  }

  /** Reads the extended control registers. */
  getXcrs(): Struct<typeof kvm_xcrs> {
    const xcrs = new kvm_xcrs();
    callWith(this.fd, "GET_XCRS", xcrs.bytes());
    return xcrs;
  }

  /** Writes the extended control registers. */
  setXcrs(xcrs: Struct<typeof kvm_xcrs>): void {
    callWith(this.fd, "SET_XCRS", xcrs.bytes());
  }

  /** Reads what is pending: exceptions, interrupts, NMIs, SMIs. */
  getEvents(): Struct<typeof kvm_vcpu_events> {
    const events = new kvm_vcpu_events();
    callWith(this.fd, "GET_VCPU_EVENTS", events.bytes());
    return events;
  }

  /** Writes what is pending; `flags` says which fields count (api.rst §4.32). */
  setEvents(events: Struct<typeof kvm_vcpu_events>): void {
    callWith(this.fd, "SET_VCPU_EVENTS", events.bytes());
  }

  /** Whether it runs, halts or waits for its start: KVM_MP_STATE_* (api.rst §4.38). */
  getMpState(): number {
    return readMpState(this.fd);
  }

  /** Sets whether it runs, halts or waits for its start. */
  setMpState(value: number): void {
    const state = new kvm_mp_state();
    state.mp_state = value;
    callWith(this.fd, "SET_MP_STATE", state.bytes());
  }

  /**
   * Queues an interrupt, for a vCPU without an in-kernel local APIC (api.rst §4.16).
   *
   * @param vector 0 to 255
   * @throws {HostError} EEXIST if another one waits
   */
  interrupt(vector: number): void {
    const interrupt = new kvm_interrupt();
    interrupt.irq = vector;
    callWith(this.fd, "INTERRUPT", interrupt.bytes());
  }

  /**
   * Puts an error into a bank of the machine check architecture, and raises #MC if it is an uncorrected
   * one (api.rst §4.107).
   *
   * @param mce The bank and its registers
   * @throws {HostError} EINVAL if there is no such bank, or the status is not valid
   */
  machineCheck(mce: Struct<typeof kvm_x86_mce>): void {
    callWith(this.fd, "X86_SET_MCE", mce.bytes());
  }

  /** Queues a non-maskable interrupt. */
  nmi(): void {
    call(this.fd, "NMI");
  }

  [Symbol.dispose](): void {
    this.run[Symbol.dispose]();
    closeFile(this.fd);
  }
}

/** Reads a vCPU's general registers by its descriptor, as its own thread knows it. */
export function readRegs(fd: number): KvmRegs {
  const regs = new kvm_regs();
  callWith(fd, "GET_REGS", regs.bytes());
  return regs;
}

/** Reads a vCPU's segments, control registers and tables by its descriptor. */
export function readSregs(fd: number): KvmSregs {
  const sregs = new kvm_sregs();
  callWith(fd, "GET_SREGS", sregs.bytes());
  return sregs;
}

/** Reads what a vCPU does, a KVM_MP_STATE_*, by its descriptor (api.rst §4.38). */
export function readMpState(fd: number): number {
  const state = new kvm_mp_state();
  callWith(fd, "GET_MP_STATE", state.bytes());
  return state.mp_state;
}

function packMsrs(values: readonly (readonly [number, bigint])[]) {
  const buffer = new DataView(new ArrayBuffer(8 + kvm_msr_entry.size * values.length));
  buffer.setUint32(0, values.length, true);
  values.forEach(([index, data], i) => {
    const entry = new kvm_msr_entry(buffer, 8 + i * kvm_msr_entry.size);
    entry.index = index;
    entry.data = data;
  });
  return buffer;
}
