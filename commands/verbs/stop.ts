/**
 * `hvsh stop`: turn live VMs off.
 *
 * @module
 */
import { eachVm, vmNames } from "../live/clients.ts";
import { callToEnd } from "../live/json_rpc.ts";
import type { Verb } from "../verb.ts";

const SECONDS = 30;

/** The row of `stop`. */
export const verb: Verb = {
  name: "stop",
  summary: "Turn live VMs off: power button, then plug",
  description:
    "Presses each VM's ACPI power button, and pulls its plug if it has not turned itself off in time. " +
    "One that is paused goes on for that; one without interrupt controllers can't hear of a button and " +
    "is ended at once. Passes the handles on; `wait` says how each has ended.",
  group: "live",
  flags: {
    timeout: {
      short: "t",
      value: "seconds",
      metavar: "SECONDS",
      help: `How long to wait for the guest (${SECONDS})`,
    },
  },
  arguments: [vmNames],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh stop 'web*' --timeout 60", needs: "kvm" }],
  run: (words, context) =>
    eachVm(words, context, async (vm) => {
      await callToEnd(vm.control, "control.stop", { seconds: words.timeout ?? SECONDS });
      return { live: vm.name, state: "ended" };
    }),
};
