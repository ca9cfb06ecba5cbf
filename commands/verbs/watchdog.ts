/**
 * `watchdog`: what happens to a machine whose guest hangs.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

/** As `vmm/devices/watchdog.ts` has them, which loads more than a builder needs. */
const ACTIONS = ["reset", "poweroff", "panic", "none"] as const;
const LEAST_SECONDS = 0.1;
const MOST_SECONDS = 6553.5;

function timeout(seconds: number): number {
  if (seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return seconds;
  throw new UsageError(
    `A watchdog waits ${LEAST_SECONDS} to ${MOST_SECONDS} seconds, not ${seconds}`,
  );
}

/** The one that the machine has, since there is room for one. */
function present({ devices = [] }: VmDocument): string | undefined {
  return devices.find(({ type }) => type === "watchdog")?.name;
}

/** The row of the table. */
export const verb: Verb = {
  name: "watchdog",
  summary: "Add a watchdog, which ends a machine that hangs",
  description:
    "Adds a watchdog timer that the guest finds by ACPI (WDAT; Linux's wdat_wdt). Once the guest has " +
    "started it and then gives no sign of life in time, it acts. With --timeout it runs from power-on, " +
    "so that a guest that never gets up is noticed too. A machine has one.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (watchdog0)" },
    action: { value: ACTIONS, metavar: "ACTION", help: `${ACTIONS.join(", ")} (reset)` },
    timeout: {
      value: "seconds",
      metavar: "TIME",
      help: "Run from power-on with this much time, 5m",
    },
  },
  arguments: [],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh watchdog --action poweroff --timeout 2m | jq -c .devices[1]",
      prints: '{"type":"watchdog","name":"watchdog0","action":"poweroff","timeout":120}\n',
    },
  ],
  build: (document, words) =>
    withDevice(document, {
      type: "watchdog",
      name: words.name as string ?? present(document) ?? "watchdog0",
      ...(words.action === undefined ? {} : { action: words.action }),
      ...(words.timeout === undefined ? {} : { timeout: timeout(words.timeout as number) }),
    }),
};
