/**
 * `hvsh kill`: end live VMs at once.
 *
 * @module
 */
import { eachVm, vmNames } from "../live/clients.ts";
import { callToEnd } from "../live/json_rpc.ts";
import type { Verb } from "../verb.ts";

/** The row of `kill`. */
export const verb: Verb = {
  name: "kill",
  summary: "End live VMs at once",
  description:
    "Ends each VM as pulling its plug would: the guest is not asked. Returns when it has ended and its " +
    "name is free, and passes the handles on.",
  group: "live",
  flags: {},
  arguments: [vmNames],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh list | hvsh kill", needs: "kvm" }],
  run: (words, context) =>
    eachVm(words, context, async (vm) => {
      await callToEnd(vm.control, "control.kill");
      return { live: vm.name, state: "ended" };
    }),
};
