/**
 * What a saved machine wants of its host.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { CpuidEntry } from "../../ffi/kvm/cpuid.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import { featuresOf } from "../cpu/features.ts";

/** Bits that follow from what the guest has done, or from KVM and not from the CPU. */
const NOT_THE_HOSTS: ReadonlySet<string> = new Set([
  "osxsave",
  "ospke",
  "hypervisor",
  "ht",
  "tsc_deadline_timer",
  "x2apic",
]);

/**
 * CPU features that a guest has been shown and this host can't give.
 *
 * @param cpuid What CPUID tells the guest
 * @param given What CPUID tells a new vCPU here: some KVMs give more than they say they support
 * @returns Their names, as in /proc/cpuinfo
 */
export function missingFeatures(
  cpuid: readonly CpuidEntry[],
  given: readonly CpuidEntry[],
): string[] {
  using kvm = new Kvm();
  const here = new Set([...featuresOf(kvm.supportedCpuid()), ...featuresOf(given)]);
  return featuresOf(cpuid).filter((name) => !here.has(name) && !NOT_THE_HOSTS.has(name));
}

/**
 * Looks that this host has what a guest has been shown.
 *
 * @param cpuid What CPUID tells the guest
 * @param given What CPUID tells a new vCPU here
 * @throws {VmError} Naming what is missing
 */
export function requireFeatures(cpuid: readonly CpuidEntry[], given: readonly CpuidEntry[]): void {
  const missing = missingFeatures(cpuid, given);
  if (missing.length === 0) return;
  throw new VmError(`cpu/0.json: this host's CPU lacks ${missing.join(" ")}`, {
    hint:
      "`hvsh restore --force` tries all the same; a guest of `hvsh cpu --template minimal` needs " +
      "none of them",
  });
}
