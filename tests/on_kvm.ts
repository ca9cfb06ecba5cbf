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
 */
export function onKvm(name: string, fn: () => void | Promise<void>): void {
  register(name, fn, kvm.missing, required || emulatedHost);
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
  const lacking = programs.find((program) => !isInstalled(program));
  if (kvm.missing === undefined && emulates === undefined && lacking !== undefined) {
    register(name, fn, `there is no ${lacking}; deno task setup says more`, required);
  } else {
    register(name, fn, kvm.missing ?? emulates, emulatedHost);
  }
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
