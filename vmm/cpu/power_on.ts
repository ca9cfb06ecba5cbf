/**
 * Puts vCPUs and interrupt controllers back to their power-on state. KVM has no call for that; what
 * the state is comes from a second VM that is made alike, asked once, and dropped: so that a machine
 * which is never reset pays nothing.
 *
 * @module
 */
import { Capability } from "../../ffi/kvm/ioctl.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import {
  type BoardBytes,
  readBoardBytes,
  readVcpuBytes,
  type StateTraits,
  type VcpuBytes,
  writeBoardBytes,
  writeVcpuBytes,
} from "../../ffi/kvm/state_bytes.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { createBoard, createVcpus, type VcpuTraits } from "./create_vcpus.ts";

/** The power-on state of one machine's processors. */
export class PowerOnState {
  readonly #traits: StateTraits;
  readonly #vcpus: readonly VcpuBytes[];
  readonly #board: BoardBytes | undefined;

  /**
   * @param traits The machine's vCPUs
   * @throws {HostError} If the host has no room for one more VM
   */
  constructor(traits: VcpuTraits) {
    const { irqchip } = traits;
    using stack = new DisposableStack();
    const kvm = stack.use(new Kvm());
    const vm = stack.use(kvm.createVm());
    createBoard(vm, irqchip);
    this.#traits = {
      msrs: kvm.msrIndices(),
      xsaveBytes: kvm.capability(Capability.XSAVE2),
      nested: kvm.capability(Capability.NESTED_STATE) > 0,
      irqchip,
    };
    this.#vcpus = createVcpus(vm, traits, stack).map((vcpu) => readVcpuBytes(vcpu, this.#traits));
    this.#board = irqchip ? readBoardBytes(vm.fd) : undefined;
  }

  /**
   * Puts the state into a machine whose vCPUs stand still, with nothing of an exit unfinished.
   *
   * @param vmFd The machine's VM
   * @param vcpus Its vCPUs
   */
  restore(vmFd: number, vcpus: readonly Vcpu[]): void {
    if (this.#board !== undefined) writeBoardBytes(vmFd, this.#board);
    for (const vcpu of vcpus) writeVcpuBytes(vcpu, this.#vcpus[vcpu.id]!, this.#traits);
  }
}
