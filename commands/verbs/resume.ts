/**
 * `hvsh resume`: let paused VMs go on.
 *
 * @module
 */
import { namedVms, request } from "../live/clients.ts";
import type { Verb } from "../verb.ts";

/** The row of `resume`. */
export const verb: Verb = {
  name: "resume",
  summary: "Let paused VMs go on",
  description: "Lets the vCPUs of paused VMs run again and passes the handles on.",
  group: "live",
  flags: {},
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh resume web", needs: "kvm" }],
  async run(words, context) {
    for await (const vm of namedVms(words, context)) {
      await context.emit(await request(vm, "resume"));
    }
    return 0;
  },
};
