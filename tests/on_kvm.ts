/**
 * Tests that need KVM: what a host lacks is left out, and said.
 *
 *     HVSH_REQUIRE_KVM=1      without a usable KVM the tests fail
 *     HVSH_EMULATED_HOST=1    here nothing may be left out either
 *
 * @module
 */
import "./c_library.ts";
import { isInstalled } from "../scripts/setup/find_program.ts";
import { probeKvm } from "./kvm_probe.ts";

/** What this host's KVM can do. */
export const kvm = probeKvm();

const required = Deno.env.get("HVSH_REQUIRE_KVM") === "1";
const emulatedHost = Deno.env.get("HVSH_EMULATED_HOST") === "1";

/**
 * A test for any KVM.
 *
 * @param name The behaviour it states
 * @param fn The test
 * @param programs What it runs or loads besides hvsh: programs and libraries
 */
export function onKvm(
  name: string,
  fn: () => void | Promise<void>,
  programs: readonly string[] = [],
): void {
  const lack = kvm.missing === undefined ? lackOf(programs) : undefined;
  if (lack === undefined) register(name, fn, kvm.missing, required || emulatedHost);
  else register(name, fn, lack, required);
}

/**
 * A test for a KVM in hardware, or in the emulated host, such as Linux guests need.
 *
 * @param name The behaviour it states
 * @param fn The test
 * @param programs What it runs or loads besides hvsh: programs and libraries
 */
export function onNativeKvm(
  name: string,
  fn: () => void | Promise<void>,
  programs: readonly string[] = [],
): void {
  const emulates = kvm.native ? undefined : "this KVM emulates the guest's kernel code";
  const why = kvm.missing ?? emulates;
  const lack = why === undefined ? lackOf(programs) : undefined;
  if (lack === undefined) register(name, fn, why, emulatedHost);
  else register(name, fn, lack, required);
}

/**
 * A test for any KVM, on a host that can do something else too.
 *
 * @param name The behaviour it states
 * @param fn The test
 * @param lack What else the host lacks, if it does
 */
export function onKvmWith(
  name: string,
  fn: () => void | Promise<void>,
  lack: string | undefined,
): void {
  register(name, fn, kvm.missing ?? lack, required);
}

/** Why programs cannot be used, if one of them cannot. */
function lackOf(programs: readonly string[]): string | undefined {
  const lacking = programs.find((program) => !isInstalled(program));
  return lacking && `there is no ${lacking}; deno task setup says more`;
}

const said = new Set<string>();

function register(
  name: string,
  fn: () => void | Promise<void>,
  missing: string | undefined,
  mandatory: boolean,
): void {
  if (missing === undefined) {
    Deno.test(name, fn);
  } else if (mandatory) {
    Deno.test(name, () => {
      throw new Error(`It cannot be left out here, but ${missing}`);
    });
  } else {
    Deno.test({ name, ignore: true, fn });
    if (!said.has(missing)) console.error(`Left out: tests of ${Deno.mainModule}: ${missing}`);
    said.add(missing);
  }
}
