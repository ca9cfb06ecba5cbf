/**
 * A vCPU by its number, as users name it.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";

/**
 * One of a machine's vCPUs.
 *
 * @param vcpus All of them
 * @param cpu Its number
 * @throws {VmError} If there is none of that number
 */
export function vcpuOf(vcpus: readonly Vcpu[], cpu: number): Vcpu {
  const found = vcpus[cpu];
  if (found !== undefined) return found;
  throw new VmError(`There is no vCPU ${cpu}: the VM has ${vcpus.length}, from 0 on`);
}
