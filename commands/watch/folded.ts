/**
 * Call stacks as flamegraph.pl, speedscope and inferno read them: a line a stack, frames from the
 * outermost with `;` between, a space, the number of samples.
 *
 * @module
 */
import type { CallStack } from "./call_stacks.ts";

/**
 * Writes stacks.
 *
 * @param stacks The stacks
 * @returns Lines with line ends; stacks whose names are the same are one
 */
export function folded(stacks: readonly CallStack[]): string {
  const lines = new Map<string, number>();
  for (const { frames, samples } of stacks) {
    const line = frames.map(({ name }) => foldedName(name)).join(";");
    lines.set(line, (lines.get(line) ?? 0) + samples);
  }
  return [...lines].map(([line, samples]) => `${line} ${samples}\n`).join("");
}

/** Names come out of the guest's memory: one that had a `;` or a line end would be several. */
function foldedName(name: string): string {
  return name.replace(/[;\p{Cc}\u2028\u2029]/gu, "?");
}
