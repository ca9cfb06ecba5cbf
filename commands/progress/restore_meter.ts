/**
 * How far a saved state has been read, in this process or in the one that the VM gets.
 *
 * @module
 */
import { basename } from "node:path";
import type { RestoreOrder } from "../live/restored_machine.ts";
import type { VerbContext } from "../verb.ts";
import { Meter } from "./meter.ts";
import { fileSize, readPosition } from "./read_position.ts";

const LOOK_MILLISECONDS = 100;

/**
 * Begins to count what is read of a saved state.
 *
 * @param order The saved state
 * @param context Where the verb runs
 */
export function restoreMeter(
  { name, path, diffs = [] }: RestoreOrder,
  context: VerbContext,
): Meter {
  const sizes = [path ?? context.stdin, ...diffs].map(fileSize);
  const known = sizes.filter((size) => size !== undefined);
  const label = name ?? (path === undefined ? "restore" : basename(path));
  return new Meter(context, {
    label,
    unit: "bytes",
    ...(known.length < sizes.length ? {} : { total: known.reduce((sum, size) => sum + size, 0) }),
  });
}

/**
 * Looks at what another process reads of it until the meter is disposed.
 *
 * @param meter The meter
 * @param pid The process
 * @param order The saved state
 * @returns Ends that
 */
export function meterProcess(meter: Meter, pid: number, { path }: RestoreOrder): Disposable {
  const file = path === undefined ? undefined : Deno.realPathSync(path);
  const timer = setInterval(() => {
    meter.done = readPosition(pid, file) ?? meter.done;
  }, LOOK_MILLISECONDS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
