/**
 * `hvsh list`: the live VMs.
 *
 * @module
 */
import { request } from "../live/clients.ts";
import { findVms } from "../live/run_directory.ts";
import type { Verb } from "../verb.ts";

/** The row of `list`. */
export const verb: Verb = {
  name: "list",
  summary: "List the live VMs",
  description:
    "Prints a handle for each live VM of yours: its name, its owner's process and its state.",
  group: "live",
  flags: {},
  arguments: [],
  reads: "nothing",
  writes: "handles",
  examples: [{ line: `hvsh list | jq -c 'select(.state=="paused")' | hvsh resume`, needs: "kvm" }],
  async run(_words, context) {
    const asked = findVms().map((vm) => request(vm, "status").catch(() => undefined));
    for await (const handle of asked) {
      if (handle !== undefined) await context.emit(handle); // the others ended meanwhile
    }
    return 0;
  },
};
