/**
 * Detached VMs for tests of the verbs that look into them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { listing } from "./guest_code.ts";
import type { HvshHome, HvshResult } from "./run_hvsh.ts";

/** In long mode: maps nothing new, spins at its second instruction. */
export const LONG = listing(`
  48 b8 88 77 66 55 44 33 22 11  mov rax, 0x1122334455667788
  eb fe                          jmp $
`);

/** What a verb printed, after looking that it did well. */
export function said({ status, stdout, stderr }: HvshResult): string {
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

/** The objects that a verb printed. */
export function records(result: HvshResult): Record<string, unknown>[] {
  return said(result).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Starts a paused VM on some code. */
export async function paused(home: HvshHome, name: string, code: Uint8Array, ...flags: string[]) {
  const path = home.write(`${name}.bin`, code);
  said(await home.run(["run", "-d", "--paused", "-n", name, ...flags, "--flat", path]));
}

/** Ends VMs. */
export async function ended(home: HvshHome, ...names: string[]): Promise<void> {
  said(await home.run(["kill", ...names]));
  for (const name of names) await home.run(["wait", name]);
}
