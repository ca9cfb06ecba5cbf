/**
 * What a person is told of a VM's end.
 *
 * @module
 */
import { ExitStatus, type VmEnd } from "../../vmm/end.ts";
import type { VerbContext } from "../verb.ts";
import type { LastLines } from "./last_lines.ts";

const SHOWN_LINES = 10;

/**
 * Says on stderr why a VM ended, unless it ended well.
 *
 * @param end How it ended
 * @param options Its limit
 * @param last The end of what its console said
 * @param context Where the verb runs
 */
export async function explainEnd(
  end: VmEnd,
  options: { readonly timeout?: number },
  last: LastLines,
  context: VerbContext,
): Promise<void> {
  switch (end.kind) {
    case "timeout":
      context.note(`hvsh run: timeout after ${options.timeout} s`);
      showLines(last.lines(SHOWN_LINES), context);
      break;
    case "triple-fault":
    case "fault": {
      const { describeFault } = await import("../../vmm/fault_report.ts");
      if (end.fault !== undefined) context.note(`hvsh run: ${await describeFault(end.fault)}`);
      break;
    }
    case "exit":
      break;
    case "migrated":
      context.note("hvsh run: the VM has been migrated and runs elsewhere");
      break;
    default: // a kernel that reboots on a panic ends by a reset
      if (end.status === ExitStatus.PANIC) context.note("hvsh run: the guest's kernel panicked");
  }
}

/**
 * Shows a console's last lines, indented.
 *
 * @param lines The lines
 * @param context Where the verb runs
 */
export function showLines(lines: readonly string[], context: VerbContext): void {
  if (lines.length === 0) return context.note("  the console has printed nothing");
  context.note("  the console's last lines:");
  for (const line of lines) context.note(`  | ${line}`);
}
