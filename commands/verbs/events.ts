/**
 * `hvsh events`: what happens to live VMs.
 *
 * @module
 */
import { namedVms, vmNames } from "../live/clients.ts";
import type { Verb } from "../verb.ts";
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
  },
  arguments: [vmNames],
  reads: "handles",
  writes: "records",
  examples: [{ line: `hvsh events web | jq -c 'select(.kind=="panic")'`, needs: "kvm" }],
  async run({ since, ...words }, context) {
    const vms = await Array.fromAsync(namedVms(words, context));
    let emitted: Promise<void> = Promise.resolve();
    await followVms(
      vms,
      "events.read",
      {
        follow: words["no-follow"] !== true,
        ...(since === undefined ? {} : { since: Date.now() - (since as number) * 1000 }),
      },
      context.signal,
      (vm, event) =>
        emitted = emitted.then(() => context.emit({ live: vm.name, ...event as object })),
    );
    return 0;
  },
};
