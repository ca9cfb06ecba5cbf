/**
 * Detached VMs whose guests count.
 *
 * @module
 */
import assert from "node:assert/strict";
import { counted, type CountingGuest, countingGuest } from "./counting_lines.ts";
import type { HvshHome } from "./run_hvsh.ts";
import { records } from "./vm_home.ts";

/** How far a guest is to have counted before it is moved. */
export const ENOUGH = 40;

/** Starts a guest that counts. */
export async function start(
  home: HvshHome,
  guest: CountingGuest,
  name: string,
  more: Record<string, unknown> = {},
): Promise<void> {
  records(await home.run(["run", "-d"], JSON.stringify(countingGuest(guest, name, more))));
}

/** What a VM's console has said, live or ended. */
export async function log(home: HvshHome, name: string): Promise<string> {
  const { status, stdout, stderr } = await home.run(["log", name]);
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

/** Waits until a VM's guest has counted on. */
export async function countsOn(
  home: HvshHome,
  guest: CountingGuest,
  name: string,
  before = "",
): Promise<void> {
  const from = counted(guest, before);
  while (counted(guest, before + await log(home, name)) < from + ENOUGH);
}

/** Ends a VM, and gives what its console has said to its end. */
export async function end(home: HvshHome, name: string): Promise<string> {
  records(await home.run(["kill", name]));
  const text = await log(home, name);
  assert.equal((await home.run(["wait", name])).status, 137);
  return text;
}

/** The end of a VM that a snapshot has ended. */
export async function stopped(home: HvshHome, name: string): Promise<string> {
  const text = await log(home, name);
  const { status, stdout } = await home.run(["wait", name]);
  assert.deepEqual([status, JSON.parse(stdout).reason], [137, "killed"]);
  return text;
}
