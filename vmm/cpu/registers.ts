/**
 * From a loader's start state to KVM's registers (SDM vol. 3 ch. 9-10; boot.rst for the selectors).
 *
 * @module
 */
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { kvm_regs, type KvmSegment, type KvmSregs } from "../../ffi/kvm/structs.ts";
import type { StartState } from "./start_state.ts";

const CODE_SELECTOR = 0x10;
const DATA_SELECTOR = 0x18;
const TSS_SELECTOR = 0x20;
const CR0_PE = 1n << 0n;
const CR0_ET = 1n << 4n;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
const RFLAGS_RESERVED = 1n << 1n;
/** Segment types: execute/read accessed, read/write accessed, busy 32/64-bit TSS. */
const TYPE_CODE = 0xb;
const TYPE_DATA = 0x3;
const TYPE_TSS = 0xb;

/**
 * Puts a vCPU, fresh from its creation, into a start state.
 *
 * @param vcpu The vCPU
 * @param start What the loader said
 */
export function setStartState(vcpu: Vcpu, start: StartState): void {
  if (start.mode === "reset") return; // KVM_CREATE_VCPU leaves it at the reset vector
  const sregs = vcpu.getSregs();
  switch (start.mode) {
    case "real":
      setReal(sregs, start.cs ?? 0, start.ds ?? 0);
      break;
    case "protected":
      setFlat(sregs, start, false);
      sregs.cr0 = CR0_PE | CR0_ET;
      break;
    case "long":
      setFlat(sregs, start, true);
      sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
      sregs.cr3 = BigInt(start.pageTables ?? 0);
      sregs.cr4 = CR4_PAE;
      sregs.efer = EFER_LME | EFER_LMA;
      break;
  }
  vcpu.setSregs(sregs);

  const regs = new kvm_regs();
  Object.assign(
    regs,
    Object.fromEntries(
      Object.entries(start.registers ?? {}).map(([name, value]) => [name, BigInt(value)]),
    ),
  );
  regs.rip = BigInt(start.ip);
  regs.rflags = RFLAGS_RESERVED;
  vcpu.setRegs(regs);
}

function setReal(sregs: KvmSregs, cs: number, ds: number): void {
  sregs.cs.selector = cs;
  sregs.cs.base = BigInt(cs * 16);
  for (const segment of [sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss]) {
    segment.selector = ds;
    segment.base = BigInt(ds * 16);
  }
}

function setFlat(sregs: KvmSregs, { gdt }: StartState, long: boolean): void {
  setSegment(sregs.cs, CODE_SELECTOR, TYPE_CODE, long);
  for (const segment of [sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss]) {
    setSegment(segment, DATA_SELECTOR, TYPE_DATA, false);
  }
  // VM entry wants a busy TSS in TR, even if nothing ever uses it (SDM vol. 3, 26.3.1.2).
  setSegment(sregs.tr, TSS_SELECTOR, TYPE_TSS, false);
  sregs.tr.s = 0;
  sregs.tr.db = 0;
  if (gdt !== undefined) {
    sregs.gdt.base = BigInt(gdt.base);
    sregs.gdt.limit = gdt.limit;
  }
  sregs.idt.base = 0n;
  sregs.idt.limit = 0;
}

function setSegment(segment: KvmSegment, selector: number, type: number, long: boolean): void {
  segment.base = 0n;
  segment.limit = 0xffff_ffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.dpl = 0;
  segment.db = long ? 0 : 1;
  segment.s = 1;
  segment.l = long ? 1 : 0;
  segment.g = 1;
  segment.avl = 0;
  segment.unusable = 0;
}
