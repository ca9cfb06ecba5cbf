/**
 * What a vCPU ran into, gathered in its own thread while its registers still say so.
 *
 * @module
 */
import { errnoName } from "../../ffi/errno.ts";
import { Exit, exitName, INTERNAL_ERROR_EMULATION, internalErrorName } from "../../ffi/kvm/exit.ts";
import { readRegs, readSregs } from "../../ffi/kvm/vcpu.ts";
import { RunOffset } from "../../ffi/kvm/structs.ts";

const EMULATION_FAILURE_HAS_INSTRUCTION = 1n;
const MAX_INSTRUCTION = 15;
/** Where a CPU starts after a reset. */
const RESET_IP = 0xfff0n;

/** What a vCPU ran into; plain data. */
export interface Fault {
  /** The vCPU's number. */
  readonly cpu: number;
  /** `KVM_EXIT_SHUTDOWN`, or `KVM_RUN` if the ioctl itself failed. */
  readonly exit: string;
  /** What KVM said beyond that. */
  readonly detail: string;
  /** Bits of code at `rip`: 16, 32 or 64. */
  readonly mode: 16 | 32 | 64;
  /** Linear address of the instruction: CS base and RIP together. */
  readonly address: number;
  /** The instruction's bytes as KVM gave them; empty if it gave none. */
  readonly instruction: Uint8Array;
  /** General and some control registers, by name. */
  readonly registers: Readonly<Record<string, bigint>>;
}

/**
 * Gathers what is known of an exit that ends the VM.
 *
 * @param fd The vCPU's descriptor
 * @param cpu Its number
 * @param run Its `struct kvm_run`
 * @param errno Why KVM_RUN failed; 0 if it returned
 * @returns The fault
 */
export function captureFault(fd: number, cpu: number, run: ArrayBuffer, errno: number): Fault {
  const view = new DataView(run);
  const reason = view.getUint32(RunOffset.exit_reason, true);
  const regs = readRegs(fd);
  const sregs = readSregs(fd);
  const { cs } = sregs;
  return {
    cpu,
    exit: errno === 0 ? exitName(reason) : "KVM_RUN",
    detail: errno === 0 ? describe(view, reason, regs.rip) : errnoName(errno).text,
    mode: cs.l ? 64 : cs.db ? 32 : 16,
    address: Number(cs.base + regs.rip),
    instruction: instructionBytes(view, reason),
    registers: {
      ...(Object.fromEntries(
        Object.keys(regs.toJSON()).map((name) => [name, regs[name as "rip"]]),
      )),
      cs: BigInt(cs.selector),
      cr0: sregs.cr0,
      cr2: sregs.cr2,
      cr3: sregs.cr3,
      cr4: sregs.cr4,
      efer: sregs.efer,
    },
  };
}

function describe(view: DataView, reason: number, rip: bigint): string {
  const word = (offset: number) => view.getUint32(offset, true);
  const long = (offset: number) => `0x${view.getBigUint64(offset, true).toString(16)}`;
  switch (reason) {
    case Exit.INTERNAL_ERROR:
      return internalErrorName(word(RunOffset["internal.suberror"]));
    case Exit.FAIL_ENTRY:
      return `hardware entry failure reason ${
        long(RunOffset["fail_entry.hardware_entry_failure_reason"])
      }`;
    case Exit.UNKNOWN:
      return `hardware exit reason ${long(RunOffset["hw.hardware_exit_reason"])}`;
    case Exit.EXCEPTION:
      return `exception ${word(RunOffset["ex.exception"])}, error code ${
        word(RunOffset["ex.error_code"])
      }`;
    case Exit.SHUTDOWN:
      // SVM leaves nothing of the state behind a shutdown (APM vol. 2, 15.14.3).
      return rip === RESET_IP ? "triple fault; KVM has reset the CPU" : "triple fault";
    default:
      return "not handled";
  }
}

function instructionBytes(view: DataView, reason: number): Uint8Array {
  if (
    reason !== Exit.INTERNAL_ERROR ||
    view.getUint32(RunOffset["internal.suberror"], true) !== INTERNAL_ERROR_EMULATION ||
    view.getUint32(RunOffset["internal.ndata"], true) < 3 ||
    (view.getBigUint64(RunOffset["emulation_failure.flags"], true) &
        EMULATION_FAILURE_HAS_INSTRUCTION) === 0n
  ) return new Uint8Array();
  const size = Math.min(view.getUint8(RunOffset["emulation_failure.insn_size"]), MAX_INSTRUCTION);
  const start = RunOffset["emulation_failure.insn_bytes"];
  return new Uint8Array(view.buffer.slice(start, start + size));
}
