/**
 * `hvsh log`: what the consoles of VMs have said.
 *
 * @module
 */
import { namedVms, vmNames } from "../live/clients.ts";
import { consoleText } from "../live/console_text.ts";
import type { Verb } from "../verb.ts";

/** The row of `log`. */
export const verb: Verb = {
  name: "log",
  summary: "Show what the consoles of VMs have said",
  description:
    "Prints each VM's console: of a detached one the last 4 to 8 MiB, also after its end until `wait` has " +
    "told of it; of one in the foreground the last 256 KiB.",
  group: "live",
  flags: { follow: { short: "f", help: "go on with what it says, until the VM has ended" } },
  arguments: [vmNames],
  reads: "handles",
  writes: "text",
  examples: [{ line: "hvsh log web | grep -i error", needs: "kvm" }],
  async run(words, context) {
    for await (const vm of namedVms(words, context, { ended: true })) {
      for await (const bytes of consoleText(vm, words.follow === true, context.signal)) {
        await context.write(bytes);
      }
    }
    return 0;
  },
};
