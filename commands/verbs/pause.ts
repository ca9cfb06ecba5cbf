/**
 * `hvsh pause`: pause live VMs.
 *
 * @module
 */
import { namedVms, request } from "../live/clients.ts";
import type { Verb } from "../verb.ts";

/** The row of `pause`. */
export const verb: Verb = {
  name: "pause",
  summary: "Pause live VMs",
  description:
    "Holds every vCPU between two instructions and passes the handles on. Memory and devices keep what they have; `resume` goes on.",
  group: "live",
  flags: {},
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh list | hvsh pause", needs: "kvm" }],
  async run(words, context) {
    for await (const vm of namedVms(words, context)) await context.emit(await request(vm, "pause"));
    return 0;
  },
};
