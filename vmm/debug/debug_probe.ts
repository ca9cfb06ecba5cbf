/**
 * What of guest debugging a host's KVM does, found out by running a few instructions: the calls succeed
 * on each, but not each KVM, and not each CPU that is emulated itself, then tells of what happens.
 *
 * @module
 */
import { closeFile } from "../../ffi/files.ts";
import { Exit } from "../../ffi/kvm/exit.ts";
import { GuestDebug, setGuestDebug } from "../../ffi/kvm/guest_debug.ts";
import { Ioctl } from "../../ffi/kvm/ioctl.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import { RunOffset } from "../../ffi/kvm/structs.ts";
import type { Vm } from "../../ffi/kvm/vm.ts";
import { libc } from "../../ffi/libc.ts";
import { createMemfd, Mapping } from "../../ffi/mapping.ts";
import { Address } from "../board.ts";
import { setStartState } from "../cpu/registers.ts";
import { packDebugRegisters } from "./breakpoint_table.ts";

/** What a KVM tells of. */
export interface DebugAbilities {
  /** INT3 in the guest's code. */
  readonly int3: boolean;
  /** An instruction at an address in a debug register. */
  readonly executes: boolean;
  /** A write to an address in a debug register. */
  readonly writes: boolean;
}

const PAGE = 4096;
const DATA = 0x800n;
/** Protected mode. */
const CODE = {
  int3: [0xcc, 0xf4], // int3; hlt
  executes: [0x90, 0x90, 0xf4], // nop; nop; hlt
  writes: [0xa3, 0x00, 0x08, 0x00, 0x00, 0x90, 0xf4], // mov [0x800], eax; nop; hlt
} as const;

let known: DebugAbilities | undefined;

/**
 * Asks this host's KVM, once.
 *
 * @returns What it tells of
 * @throws {HostError} If there is no KVM
 */
export function debugAbilities(): DebugAbilities {
  return known ??= probe();
}

function probe(): DebugAbilities {
  using kvm = new Kvm();
  using vm = kvm.createVm();
  vm.setRealModePages(Address.IDENTITY_MAP, Address.TSS);
  const fd = createMemfd("hvsh-debug-probe", PAGE);
  try {
    using memory = new Mapping(fd, PAGE);
    vm.setMemory(0, 0, PAGE, memory.address);
    const bytes = new Uint8Array(memory.buffer);
    const slot = { id: 1, hits: 0, how: "hardware" } as const;
    const execute = { ...slot, kind: "execute", address: 1n, length: 1 } as const;
    const write = { ...slot, kind: "write", address: DATA, length: 4 } as const;
    return {
      int3: stops(vm, 0, bytes, CODE.int3, GuestDebug.USE_SW_BP, []),
      executes: stops(vm, 1, bytes, CODE.executes, GuestDebug.USE_HW_BP, [execute]),
      writes: stops(vm, 2, bytes, CODE.writes, GuestDebug.USE_HW_BP, [write]),
    };
  } finally {
    closeFile(fd);
  }
}

/** Whether code at address 0 brings KVM_EXIT_DEBUG rather than running into its HLT. */
function stops(
  vm: Vm,
  id: number,
  memory: Uint8Array,
  code: readonly number[],
  control: number,
  slots: Parameters<typeof packDebugRegisters>[0],
): boolean {
  memory.set(code);
  using vcpu = vm.createVcpu(id);
  setStartState(vcpu, { mode: "protected", ip: 0 });
  setGuestDebug(vcpu.fd, GuestDebug.ENABLE | control, packDebugRegisters(slots));
  libc.kvm_run(vcpu.fd, Ioctl.RUN, 0);
  return new DataView(vcpu.run.buffer).getUint32(RunOffset.exit_reason, true) === Exit.DEBUG;
}
