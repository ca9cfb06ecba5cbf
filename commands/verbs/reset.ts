/**
 * `hvsh reset`: start live VMs anew.
 *
 * @module
 */
import { eachVm, request, vmNames } from "../live/clients.ts";
import type { Verb } from "../verb.ts";

/** The row of `reset`. */
export const verb: Verb = {
  name: "reset",
  summary: "Start live VMs anew, as a reset button does",
  description:
    "Starts each VM anew in place: memory, CPUs and devices are as before the first instruction, its " +
    "images are read again, and what stands behind its devices stays open. A paused VM stays paused. " +
    "Passes the handles on. What the guest's own reset does is `--reboot` of `create` and `run`.",
  group: "live",
  flags: {},
  arguments: [vmNames],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh reset web", needs: "kvm" }],
  run: (words, context) => eachVm(words, context, (vm) => request(vm, "reset")),
};
