/**
 * Detached VMs of a test.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HvshHome, HvshResult } from "./run_hvsh.ts";

/** A handle, as verbs print it. */
export interface HandleRecord {
  readonly live: string;
  readonly pid: number;
  readonly state: string;
}

/**
 * The objects that a verb printed, after looking that it did well.
 *
 * @param result What it did
 */
export function records({ status, stdout, stderr }: HvshResult): Record<string, unknown>[] {
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/**
 * Starts a detached VM.
 *
 * @param home Where
 * @param name Its name
 * @param code What it runs
 * @param flags More flags of `run`
 * @returns Its handle
 */
export async function detached(
  home: HvshHome,
  name: string,
  code: Uint8Array,
  ...flags: string[]
): Promise<HandleRecord> {
  const path = home.write(`${name}.bin`, code);
  const run = ["run", "-d", "-n", name, "-m", "1M", ...flags, "--flat", path];
  const [handle] = records(await home.run(run));
  return handle as unknown as HandleRecord;
}
