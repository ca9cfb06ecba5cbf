/**
 * Tests that need something of the host's network: what it lacks is left out, and said.
 *
 *     HVSH_EMULATED_HOST=1    here nothing may be left out
 *
 * @module
 */
import "./c_library.ts";
import { HostError } from "../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../ffi/files.ts";
import { hasSlirp } from "../ffi/slirp.ts";
import { findPasst } from "../vmm/backends/net/passt.ts";

const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;
const emulatedHost = Deno.env.get("HVSH_EMULATED_HOST") === "1";

/** What a host may lack: why, or undefined if it is there. */
export const missing = {
  passt: findPasst() === undefined ? "there is no passt on PATH" : undefined,
  slirp: hasSlirp() ? undefined : "there is no libslirp",
  tap: missingTap(),
};

/**
 * A test that needs something of the host's.
 *
 * @param need What
 * @param name The behaviour it states
 * @param fn The test
 */
export function onNetwork(
  need: keyof typeof missing,
  name: string,
  fn: () => void | Promise<void>,
): void {
  const why = missing[need];
  if (why === undefined) {
    Deno.test(name, fn);
  } else if (emulatedHost) {
    Deno.test(name, () => {
      throw new Error(`It cannot be left out here, but ${why}`);
    });
  } else {
    Deno.test({ name, ignore: true, fn });
    if (!said.has(why)) console.error(`Left out: tests of ${Deno.mainModule}: ${why}`);
    said.add(why);
  }
}

const said = new Set<string>();

/** Making taps in a network namespace of one's own takes both capabilities. */
function missingTap(): string | undefined {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"));
  const capabilities = BigInt(`0x${line?.[1] ?? "0"}`);
  for (const bit of [CAP_NET_ADMIN, CAP_SYS_ADMIN]) {
    if ((capabilities >> BigInt(bit) & 1n) === 0n) return "making taps wants root's capabilities";
  }
  for (const program of ["ip", "unshare", "nsenter"]) {
    try {
      new Deno.Command(program, { args: ["-V"], stdout: "null", stderr: "null" }).outputSync();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return `there is no program ${program}`;
      throw error;
    }
  }
  try {
    closeFile(openFile("/dev/net/tun", OpenFlag.RDWR));
  } catch (error) {
    if (error instanceof HostError) return error.message;
    throw error;
  }
  return undefined;
}
