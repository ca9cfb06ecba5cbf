/**
 * `hvsh pause`: pause live VMs.
 *
 * @module
 */
import { eachVm, request, vmNames } from "../live/clients.ts";
import type { Verb } from "../verb.ts";

/** The row of `pause`. */
export const verb: Verb = {
  name: "pause",
  summary: "Pause live VMs",
  description:
    "Holds every vCPU between two instructions and passes the handles on. Memory and devices keep what they have; `resume` goes on.",
  group: "live",
  flags: {},
  arguments: [{ ...vmNames, value: "running-vm" }],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh list | hvsh pause", needs: "kvm" }],
  run: (words, context) => eachVm(words, context, (vm) => request(vm, "pause")),
};
