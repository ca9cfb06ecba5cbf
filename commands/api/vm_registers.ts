/**
 * The registers of a VM of this process.
 *
 * @module
 */
import type { RegisterValues } from "../../vmm/debug/register_files.ts";
import { vcpuOf } from "../../vmm/debug/vcpu_of.ts";
import type { Machine } from "../../vmm/machine.ts";

/** Whose registers. */
export interface RegisterOptions {
  /** The vCPU's number; 0 if left out. */
  readonly cpu?: number;
}

/**
 * Reads registers.
 *
 * @param machine The machine
 * @param names Names or groups
 * @param options Whose
 */
export async function readRegisters(
  machine: Machine,
  names: readonly string[],
  { cpu = 0 }: RegisterOptions,
): Promise<RegisterValues> {
  const { RegisterFiles } = await import("../../vmm/debug/register_files.ts");
  const { selectRegisters } = await import("../../vmm/debug/register_selection.ts");
  return await machine.inspect(({ vcpus }) => {
    const files = new RegisterFiles(vcpuOf(vcpus, cpu));
    return files.read(selectRegisters(files, names));
  });
}

/**
 * Writes registers.
 *
 * @param machine The machine
 * @param values Values by name
 * @param options Whose
 */
export async function writeRegisters(
  machine: Machine,
  values: RegisterValues,
  { cpu = 0 }: RegisterOptions,
): Promise<void> {
  const { RegisterFiles } = await import("../../vmm/debug/register_files.ts");
  await machine.inspect(({ vcpus }) => new RegisterFiles(vcpuOf(vcpus, cpu)).write(values));
}
