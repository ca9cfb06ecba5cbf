/**
 * Benches that want a KVM that can run Linux, where this host's cannot: they run in the emulated host.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { findProgram } from "../setup/find_program.ts";
import type { BenchResult } from "./result.ts";

/** Of all that is measured in there at once. */
const SECONDS = 900;
/** The modules of KVM on hardware; both have a folder there even if they are built in. */
const HARDWARE_KVM = ["/sys/module/kvm_intel", "/sys/module/kvm_amd"];

/**
 * Asks what this host's KVM is made of.
 *
 * @returns Whether it is VT-x or SVM
 */
export function hasHardwareKvm(): boolean {
  return HARDWARE_KVM.some(exists);
}

/**
 * Has benches run in the emulated host, and takes the lines that they print.
 *
 * @param names Their names
 * @param signal Ends it at once
 * @param warn Told that it is done, or that it can't be
 * @returns Their results
 * @throws {Error} If one failed
 */
export async function inEmulatedHost(
  names: readonly string[],
  signal: AbortSignal,
  warn: (line: string) => void,
): Promise<BenchResult[]> {
  const all = names.join(", ");
  if (findProgram("qemu-system-x86_64") === undefined) {
    warn(`${all}: LEFT OUT, for this host's KVM is software, and there is no QEMU to emulate one`);
    return [];
  }
  warn(`this host's KVM is software and cannot run Linux: RUN IN THE EMULATED HOST: ${all}`);
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { success, stdout } = await new Deno.Command(`${root}scripts/emulated-host`, {
    args: [
      ...["--timeout", String(SECONDS)],
      ...["deno", "run", "--quiet", "--allow-all", "scripts/bench.ts", "--json", ...names],
    ],
    cwd: root,
    stdin: "null",
    stderr: "inherit",
    signal,
  }).output();
  if (!success) throw new Error("it failed in the emulated host");
  return new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as BenchResult);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
