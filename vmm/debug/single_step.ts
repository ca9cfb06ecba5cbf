/**
 * One instruction of one vCPU, while the others stand and no trap is in the code.
 *
 * @module
 */
import { GuestDebug, setGuestDebug } from "../../ffi/kvm/guest_debug.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { type Arena, Request, VcpuState } from "../arena.ts";
import { type Breakpoint, packDebugRegisters } from "./breakpoint_table.ts";
import type { CodePlaces } from "./code_places.ts";
import { linearPc } from "./debug_exit.ts";

/** The opcode. */
const HLT = 0xf4;

/** A machine as a step sees it. */
export interface SteppedMachine {
  readonly arena: Arena;
  /** What KVM_SET_GUEST_DEBUG takes beyond the oldest; bits of its control. */
  readonly controls: number;
  /** Whether HLT waits for an interrupt, rather than being the end. */
  readonly irqchip: boolean;
  /** Whether it comes to its end. */
  ending(): boolean;
  /** Has every vCPU stand soon. */
  holdSoon(): void;
}

/** What is stepped. */
export interface Step {
  readonly vcpu: Vcpu;
  readonly code: CodePlaces;
  /** What debug registers watch meanwhile. */
  readonly watched: readonly Breakpoint[];
  /** Ends the wait for an instruction that takes long. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Has a vCPU carry out one instruction. Whoever calls tells KVM of breakpoints again.
 *
 * @param machine The machine
 * @param step What is stepped
 * @returns What ended it, a {@linkcode DebugStopKind}; 0 if it was not carried out
 */
export async function singleStep(
  machine: SteppedMachine,
  { vcpu, code, watched, signal }: Step,
): Promise<number> {
  const { arena, controls } = machine;
  const cpu = vcpu.id;
  const before = linearPc(vcpu);
  // Interrupts wait, where KVM can have them wait: their handlers are not what is to be seen.
  const control = GuestDebug.ENABLE | GuestDebug.SINGLESTEP |
    (controls & GuestDebug.BLOCKIRQ) | (watched.length > 0 ? GuestDebug.USE_HW_BP : 0);
  setGuestDebug(vcpu.fd, control, packDebugRegisters(watched));
  arena.clearDebugStop(cpu);
  arena.hasTraps = false; // a write to their port is the guest's own now
  const hold = () => machine.holdSoon();
  signal?.addEventListener("abort", hold);
  try {
    if (signal?.aborted) return 0;
    arena.letGo(cpu, Request.STEP);
    for (;;) {
      const seen = arena.doorbell.count;
      if (machine.ending()) return 0;
      const stands = arena.vcpuState(cpu) === VcpuState.PAUSED &&
        arena.request(cpu) === Request.PAUSE;
      if (stands) return halted(machine, vcpu, code, before) ? 0 : arena.debugStop(cpu);
      await arena.doorbell.after(seen);
    }
  } finally {
    signal?.removeEventListener("abort", hold);
    arena.clearDebugStop(cpu);
  }
}

/** A step over HLT comes back as a step, also where nothing will ever wake the vCPU. */
function halted(
  { irqchip, arena }: SteppedMachine,
  vcpu: Vcpu,
  code: CodePlaces,
  before: bigint,
): boolean {
  if (irqchip || code.byteAt(vcpu.id, before) !== HLT) return false;
  if (linearPc(vcpu) !== before + 1n) return false;
  arena.stop("halt");
  return true;
}
