/**
 * Turning a VM off as its owner would: the power button first, the plug when that does not help.
 *
 * @module
 */
import type { VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";

/** setTimeout's own limit. */
const MOST_DELAY = 2 ** 31 - 1;
/** The board's device with the button (ACPI 6.5 §4.8.3.1.1). */
const BOARD = "pm";

/**
 * Presses the power button, waits, and ends the VM if it has not ended by itself. One that is paused
 * goes on, since nobody in there could notice otherwise.
 *
 * @param machine The VM
 * @param seconds How long to wait
 * @param gone Aborts the wait, and the VM is let be
 * @returns How it ended; undefined if the wait was aborted
 */
export async function powerOff(
  machine: Machine,
  seconds: number,
  gone: AbortSignal,
): Promise<VmEnd | undefined> {
  // Without interrupt controllers no guest ever hears of a button.
  if (!machine.interruptible || !machine.act(BOARD, "powerbutton")) return await machine.stop();
  if (machine.state === "paused") machine.resume();
  const over = Promise.withResolvers<"late" | "gone">();
  const timer = setTimeout(() => over.resolve("late"), Math.min(seconds * 1000, MOST_DELAY));
  const abort = () => over.resolve("gone");
  gone.addEventListener("abort", abort);
  try {
    const outcome = await Promise.race([machine.ended, over.promise]);
    if (outcome === "gone") return undefined;
    return outcome === "late" ? await machine.stop() : outcome;
  } finally {
    clearTimeout(timer);
    gone.removeEventListener("abort", abort);
  }
}
