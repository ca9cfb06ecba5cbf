/**
 * `hvsh stat`: what a VM's devices have counted.
 *
 * @module
 */
import { namedVms } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import type { Verb } from "../verb.ts";

/** The row of `stat`. */
export const verb: Verb = {
  name: "stat",
  summary: "Show the counters of live VMs' devices",
  description:
    "Prints a record for each device that counts something: requests, bytes, packets, errors since the " +
    "VM's start.",
  group: "live",
  flags: {},
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "records",
  examples: [{ line: "hvsh stat web | jq -c 'select(.device==\"disk0\")'", needs: "kvm" }],
  async run(words, context) {
    for await (const vm of namedVms(words, context)) {
      const stats = await call(vm.control, "device.stats") as Record<
        string,
        Record<string, number>
      >;
      for (const [device, counters] of Object.entries(stats)) {
        await context.emit({ live: vm.name, device, ...counters });
      }
    }
    return 0;
  },
};
