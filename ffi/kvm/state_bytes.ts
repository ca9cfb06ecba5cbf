/**
 * The state of vCPUs and interrupt controllers as bytes that only KVM need understand: read from one
 * VM, written to another that was made alike, or back.
 *
 * @module
 */
import { callWith, type Request } from "./call.ts";
import type { Vcpu } from "./vcpu.ts";

/** A piece of state: who reads it, who writes it, how long it is. */
interface Piece {
  readonly get: Request;
  readonly set: Request;
  readonly size: number;
}

const piece = (name: string, size: number) =>
  ({ get: `GET_${name}` as Request, set: `SET_${name}` as Request, size }) as const;

/** IA32_TIME_STAMP_COUNTER: a clock, which a reset of the machine need not stop. */
const IA32_TSC = 0x10;
/** Written after the local APIC, whose timer it arms (IA32_TSC_DEADLINE). */
const IA32_TSC_DEADLINE = 0x6e0;
/** MTRRs, which KVM keeps but does not list (SDM vol. 3, 12.11). */
const MTRRS = [
  ...Array.from({ length: 16 }, (_, i) => 0x200 + i),
  ...[0x250, 0x258, 0x259],
  ...Array.from({ length: 8 }, (_, i) => 0x268 + i),
  0x2ff,
];
/** `struct kvm_nested_state` with the largest data behind it, which a vCPU outside of a guest of its own lacks. */
const NESTED_BYTES = 128;
const XSAVE_BYTES = 4096;
/** KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC. */
const IRQCHIPS = [0, 1, 2];

/** What the host's KVM has. */
export interface StateTraits {
  /** MSRs by KVM's own list. */
  readonly msrs: readonly number[];
  /** KVM_CAP_XSAVE2: bytes of the XSAVE area, 0 for the 4096 of old. */
  readonly xsaveBytes: number;
  /** Whether vCPUs have VMX or SVM state. */
  readonly nested: boolean;
  /** Whether there are in-kernel interrupt controllers. */
  readonly irqchip: boolean;
}

/** A vCPU's state. */
export interface VcpuBytes {
  readonly pieces: readonly { readonly set: Request; readonly bytes: Uint8Array<ArrayBuffer> }[];
  readonly msrs: ReadonlyMap<number, bigint>;
}

/** In the order in which KVM takes them back: api.rst has none, and Linux hung with MSRs before the APIC. */
function before(traits: StateTraits): Piece[] {
  const xsave = Math.max(XSAVE_BYTES, traits.xsaveBytes);
  return [
    // First of all: it has a vCPU leave the guest of its own that it may be in.
    ...(traits.nested ? [piece("NESTED_STATE", NESTED_BYTES)] : []),
    piece("SREGS", 312),
    piece("REGS", 144),
    piece("XCRS", 392),
    { get: traits.xsaveBytes > 0 ? "GET_XSAVE2" : "GET_XSAVE", set: "SET_XSAVE", size: xsave },
    piece("DEBUGREGS", 128),
    ...(traits.irqchip ? [piece("LAPIC", 1024)] : []),
  ];
}

/** After the MSRs. */
function after({ irqchip }: StateTraits): Piece[] {
  return [piece("VCPU_EVENTS", 64), ...(irqchip ? [piece("MP_STATE", 4)] : [])];
}

/**
 * Reads a vCPU's state; it must not run.
 *
 * @param vcpu The vCPU
 * @param traits What the host's KVM has
 */
export function readVcpuBytes(vcpu: Vcpu, traits: StateTraits): VcpuBytes {
  // From the last to the first: KVM_GET_MP_STATE has a CPU take the INIT and the SIPI that wait for it, which
  // changes its registers (QEMU, kvm_arch_get_registers).
  const pieces = [...before(traits), ...after(traits)].reverse().map(({ get, set, size }) => {
    const bytes = new Uint8Array(size);
    // `size` of struct kvm_nested_state: how much there is room for.
    if (get === "GET_NESTED_STATE") new DataView(bytes.buffer).setUint32(4, size, true);
    callWith(vcpu.fd, get, bytes);
    return { set, bytes };
  });
  pieces.reverse();
  const wanted = [...new Set([...traits.msrs, ...MTRRS])].filter((index) => index !== IA32_TSC);
  return { pieces, msrs: vcpu.getMsrs(wanted) };
}

/**
 * Writes a vCPU's state; it must not run.
 *
 * @param vcpu The vCPU
 * @param state What {@linkcode readVcpuBytes} gave
 * @param traits What the host's KVM has
 */
export function writeVcpuBytes(vcpu: Vcpu, state: VcpuBytes, traits: StateTraits): void {
  const first = before(traits).length;
  for (const { set, bytes } of state.pieces.slice(0, first)) callWith(vcpu.fd, set, bytes);
  // Some that KVM gives it does not take back; those it has no other value for.
  const msrs = [...state.msrs].filter(([index]) => index !== IA32_TSC_DEADLINE);
  const deadline = state.msrs.get(IA32_TSC_DEADLINE);
  if (deadline !== undefined) msrs.push([IA32_TSC_DEADLINE, deadline]);
  vcpu.setMsrs(msrs);
  for (const { set, bytes } of state.pieces.slice(first)) callWith(vcpu.fd, set, bytes);
}

/** The state of the interrupt controllers and the timer that KVM has for a VM. */
export interface BoardBytes {
  readonly irqchips: readonly Uint8Array<ArrayBuffer>[];
  readonly pit: Uint8Array<ArrayBuffer>;
}

/**
 * Reads a VM's interrupt controllers and timer.
 *
 * @param vmFd The VM, with them
 */
export function readBoardBytes(vmFd: number): BoardBytes {
  const irqchips = IRQCHIPS.map((id) => {
    const bytes = new Uint8Array(520);
    bytes[0] = id;
    callWith(vmFd, "GET_IRQCHIP", bytes);
    return bytes;
  });
  const pit = new Uint8Array(112);
  callWith(vmFd, "GET_PIT2", pit);
  return { irqchips, pit };
}

/**
 * Writes a VM's interrupt controllers and timer.
 *
 * @param vmFd The VM, with them
 * @param state What {@linkcode readBoardBytes} gave
 */
export function writeBoardBytes(vmFd: number, { irqchips, pit }: BoardBytes): void {
  for (const bytes of irqchips) callWith(vmFd, "SET_IRQCHIP", bytes);
  callWith(vmFd, "SET_PIT2", pit);
}
