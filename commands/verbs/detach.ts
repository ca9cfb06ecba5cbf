/**
 * `hvsh detach`: send those away who are at the consoles of live VMs.
 *
 * @module
 */
import { eachVm, request, vmNames } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import type { Verb } from "../verb.ts";

/** The row of `detach`. */
export const verb: Verb = {
  name: "detach",
  summary: "Detach everybody from the consoles of live VMs",
  description:
    "Ends each `hvsh console` of the VMs, wherever it runs; the VMs run on. The handles are passed on. A " +
    "VM that `hvsh run` has in the foreground is one process with its terminal, and can't be detached.",
  group: "live",
  flags: {},
  arguments: [vmNames],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh detach web", needs: "kvm" }],
  run: (words, context) =>
    eachVm(words, context, async (vm) => {
      await call(vm.control, "console.detach");
      return await request(vm, "status");
    }),
};
