/**
 * `hvsh kill`: end live VMs at once.
 *
 * @module
 */
import { call } from "../live/json_rpc.ts";
import { namedVms } from "../live/clients.ts";
import type { Verb } from "../verb.ts";

/** The row of `kill`. */
export const verb: Verb = {
  name: "kill",
  summary: "End live VMs at once",
  description:
    "Ends each VM as pulling its plug would: the guest is not asked. Returns when it has ended.",
  group: "live",
  flags: {},
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "nothing",
  examples: [{ line: "hvsh list | hvsh kill", needs: "kvm" }],
  async run(words, context) {
    for await (const vm of namedVms(words, context)) {
      await call(vm.control, "control.kill");
    }
    return 0;
  },
};
