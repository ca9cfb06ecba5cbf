/**
 * The areas of bytes in which KVM gives and takes a vCPU's registers, and what is where in them.
 *
 * @module
 */
import { HostError } from "../../ffi/errors.ts";
import { Errno } from "../../ffi/errno.ts";
import {
  kvm_debugregs,
  kvm_dtable,
  kvm_regs,
  kvm_segment,
  kvm_sregs,
  kvm_vcpu_events,
  kvm_xcr,
  kvm_xcrs,
} from "../../ffi/kvm/structs.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { type AreaRegister, areaRegister } from "./area_register.ts";
import { type XsaveRegister, xsaveRegisters, XSTATE_BV } from "./xsave.ts";

/** An area of a vCPU, with the registers in it by group. */
export interface RegisterArea {
  /** Its name, for errors. */
  readonly name: string;
  readonly groups: Readonly<Record<string, readonly AreaRegister[]>>;
  /** Reads it. */
  load(): Uint8Array<ArrayBuffer>;
  /**
   * Writes it.
   *
   * @param area What {@linkcode load} gave, changed
   * @param changed The registers that were changed
   */
  store(area: Uint8Array<ArrayBuffer>, changed: readonly AreaRegister[]): void;
}

const SEGMENTS = ["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"] as const;
const TABLES = ["gdt", "idt"] as const;
const CONTROL = ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"] as const;
const ATTRIBUTES = ["type", "s", "dpl", "present", "avl", "l", "db", "g", "unusable"] as const;
/** KVM_VCPUEVENT_VALID_SIPI_VECTOR: KVM reads the vector only with it. */
const VALID_SIPI_VECTOR = 2;

/** Registers of the local APIC by their offsets (SDM vol. 3, table 11-1). */
const LAPIC: Readonly<Record<number, string>> = {
  0x20: "id",
  0x30: "version",
  0x80: "tpr",
  0x90: "apr",
  0xa0: "ppr",
  0xd0: "ldr",
  0xe0: "dfr",
  0xf0: "svr",
  0x280: "esr",
  0x2f0: "lvt_cmci",
  0x300: "icr_low",
  0x310: "icr_high",
  0x320: "lvt_timer",
  0x330: "lvt_thermal",
  0x340: "lvt_performance",
  0x350: "lvt_lint0",
  0x360: "lvt_lint1",
  0x370: "lvt_error",
  0x380: "timer_initial_count",
  0x390: "timer_current_count",
  0x3e0: "timer_divide",
};

/**
 * The areas of a vCPU, in the order in which KVM is to take them back.
 *
 * @param vcpu The vCPU; it must not run
 * @returns The areas that its VM has
 */
export function registerAreas(vcpu: Vcpu): RegisterArea[] {
  return [sregs(vcpu), regs(vcpu), xcrs(vcpu), xsave(vcpu), ...lapic(vcpu), debug(vcpu)];
}

/**
 * What has to come after everything else, since it says what goes on with it.
 *
 * @param vcpu The vCPU; it must not run
 */
export function lastAreas(vcpu: Vcpu): RegisterArea[] {
  return [events(vcpu), mpState(vcpu)];
}

function regs(vcpu: Vcpu): RegisterArea {
  return {
    name: "general registers",
    groups: {
      general: Object.entries(kvm_regs.offsets).map(([name, at]) => areaRegister(name, at, 8)),
    },
    load: () => vcpu.getRegs().bytes(),
    store: (area) => vcpu.setRegs(new kvm_regs(viewOf(area))),
  };
}

function sregs(vcpu: Vcpu): RegisterArea {
  const { offsets } = kvm_sregs;
  const segment = (name: typeof SEGMENTS[number]) => {
    const at = (field: keyof typeof kvm_segment.offsets) =>
      offsets[name] + kvm_segment.offsets[field];
    return [
      areaRegister(name, at("selector"), 2),
      areaRegister(`${name}.base`, at("base"), 8),
      areaRegister(`${name}.limit`, at("limit"), 4),
      ...ATTRIBUTES.map((field) => areaRegister(`${name}.${field}`, at(field), 1)),
    ];
  };
  const table = (name: typeof TABLES[number]) => [
    areaRegister(`${name}.base`, offsets[name] + kvm_dtable.offsets.base, 8),
    areaRegister(`${name}.limit`, offsets[name] + kvm_dtable.offsets.limit, 2),
  ];
  return {
    name: "segments and control registers",
    groups: {
      segment: [...SEGMENTS.flatMap(segment), ...TABLES.flatMap(table)],
      control: CONTROL.map((name) => areaRegister(name, offsets[name], 8)),
    },
    load: () => vcpu.getSregs().bytes(),
    store: (area) => vcpu.setSregs(new kvm_sregs(viewOf(area))),
  };
}

function debug(vcpu: Vcpu): RegisterArea {
  const { db, dr6, dr7 } = kvm_debugregs.offsets;
  return {
    name: "debug registers",
    groups: {
      debug: [
        ...Array.from({ length: 4 }, (_, i) => areaRegister(`dr${i}`, db + 8 * i, 8)),
        areaRegister("dr6", dr6, 8),
        areaRegister("dr7", dr7, 8),
      ],
    },
    load: () => vcpu.getDebugRegs().bytes(),
    store: (area) => vcpu.setDebugRegs(new kvm_debugregs(viewOf(area))),
  };
}

function xcrs(vcpu: Vcpu): RegisterArea {
  const present = vcpu.getXcrs();
  const registers = Array.from({ length: Math.min(present.nr_xcrs, 16) }, (_, i) => {
    const at = kvm_xcrs.offsets.xcrs + i * kvm_xcr.size + kvm_xcr.offsets.value;
    return areaRegister(`xcr${present.xcrs.at(i).xcr}`, at, 8);
  });
  return {
    name: "extended control registers",
    groups: { xcr: registers },
    load: () => vcpu.getXcrs().bytes(),
    store: (area) => vcpu.setXcrs(new kvm_xcrs(viewOf(area))),
  };
}

function xsave(vcpu: Vcpu): RegisterArea {
  const size = vcpu.getXsave().length;
  return {
    name: "FPU and vector registers",
    groups: { ...xsaveRegisters(vcpu.getCpuid(), size) },
    load: () => vcpu.getXsave(),
    store(area, changed) {
      // A component that XSTATE_BV leaves out is set to its initial state, whatever the area has.
      const components = (changed as readonly XsaveRegister[])
        .reduce((mask, register) => mask | register.components, 0);
      const view = viewOf(area);
      view.setUint32(XSTATE_BV, view.getUint32(XSTATE_BV, true) | components, true);
      vcpu.setXsave(area);
    },
  };
}

function lapic(vcpu: Vcpu): RegisterArea[] {
  try {
    vcpu.getLapic();
  } catch (error) {
    if (error instanceof HostError && error.errno === Errno.EINVAL) return []; // it has none
    throw error;
  }
  const bitmaps = [["isr", 0x100], ["tmr", 0x180], ["irr", 0x200]] as const;
  const registers = [
    ...Object.entries(LAPIC).map(([at, name]) => areaRegister(`lapic.${name}`, Number(at), 4)),
    ...bitmaps.flatMap(([name, start]) =>
      Array.from({ length: 8 }, (_, i) => areaRegister(`lapic.${name}${i}`, start + 16 * i, 4))
    ),
  ];
  return [{
    name: "local APIC",
    groups: { lapic: registers },
    load: () => vcpu.getLapic(),
    store: (area) => vcpu.setLapic(area),
  }];
}

function events(vcpu: Vcpu): RegisterArea {
  const { offsets } = kvm_vcpu_events;
  const fields = Object.keys(offsets).filter((name) => !/^(flags|reserved|nmi_pad)$/.test(name));
  const wide: Readonly<Record<string, number>> = {
    exception_error_code: 4,
    sipi_vector: 4,
    exception_payload: 8,
  };
  return {
    name: "pending events",
    groups: {
      event: fields.map((name) =>
        areaRegister(name, offsets[name as "sipi_vector"], wide[name] ?? 1)
      ),
    },
    load: () => vcpu.getEvents().bytes(),
    store(area, changed) {
      const all = new kvm_vcpu_events(viewOf(area));
      if (changed.some(({ name }) => name === "sipi_vector")) all.flags |= VALID_SIPI_VECTOR;
      vcpu.setEvents(all);
    },
  };
}

function mpState(vcpu: Vcpu): RegisterArea {
  return {
    name: "multiprocessing state",
    groups: { mp: [areaRegister("mp_state", 0, 4)] },
    load: () => new Uint8Array(Uint32Array.of(vcpu.getMpState()).buffer),
    store: (area) => vcpu.setMpState(viewOf(area).getUint32(0, true)),
  };
}

function viewOf(area: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(area.buffer, area.byteOffset, area.byteLength);
}
