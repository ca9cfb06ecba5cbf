/**
 * `hvsh resume`: let paused VMs go on.
 *
 * @module
 */
import { eachVm, request, vmNames } from "../live/clients.ts";
import type { Verb } from "../verb.ts";

/** The row of `resume`. */
export const verb: Verb = {
  name: "resume",
  summary: "Let paused VMs go on",
  description: "Lets the vCPUs of paused VMs run again and passes the handles on.",
  group: "live",
  flags: {},
  arguments: [vmNames],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh resume web", needs: "kvm" }],
  run: (words, context) => eachVm(words, context, (vm) => request(vm, "resume")),
};
