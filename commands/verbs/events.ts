/**
 * `hvsh events`: what happens to live VMs.
 *
 * @module
 */
import { namedVms, vmNames } from "../live/clients.ts";
import type { VmEvent } from "../live/event_log.ts";
import { outputFlag, outputFormat } from "../output.ts";
import { cutText, plainText } from "../text_cut.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { followVms } from "../watch/follow_vms.ts";

/** The row of `events`. */
export const verb: Verb = {
  name: "events",
  summary: "Show what happens to live VMs, as it happens",
  description:
    "Prints a record for each event: changes of state, resets, panics, and what devices tell. Begins with " +
    "the last 1024 that were before, and goes on until the VMs have ended. What a detached VM's events " +
    "were is in its folder too, in events.log.",
  group: "live",
  flags: {
    since: {
      value: "seconds",
      metavar: "SECONDS",
      help: "Of those before, only the ones of the last SECONDS; 0 for none",
    },
    "no-follow": { help: "Print those that were, and end" },
    ...outputFlag,
  },
  arguments: [vmNames],
  reads: "handles",
  writes: "records",
  examples: [{ line: `hvsh events web | jq -c 'select(.kind=="panic")'`, needs: "kvm" }],
  async run({ since, ...words }, context) {
    const vms = await Array.fromAsync(namedVms(words, context));
    const table = outputFormat(words, context) === "table";
    let emitted: Promise<void> = Promise.resolve();
    await followVms(
      vms,
      "events.read",
      {
        follow: words["no-follow"] !== true,
        ...(since === undefined ? {} : { since: Date.now() - (since as number) * 1000 }),
      },
      context.signal,
      (vm, event) => {
        const record = { live: vm.name, ...event as VmEvent };
        const write = () =>
          table ? context.print(eventLine(record, context)) : context.emit(record);
        return emitted = emitted.then(write);
      },
    );
    return 0;
  },
};

/** A line as they come: nobody knows yet how wide the next one's words are. */
function eventLine(
  { live, time, device = "-", kind, ...details }: VmEvent & { readonly live: string },
  { look }: VerbContext,
): string {
  const columns = [time, live.padEnd(12), device.padEnd(8), kind.padEnd(12)];
  const more = Object.values(details).map((value) =>
    typeof value === "string" ? value : JSON.stringify(value)
  );
  const line = plainText([...columns, ...more].join("  ").trimEnd());
  return `${look === undefined ? line : cutText(line, look.columns)}\n`;
}
