/**
 * `hvsh detach-device`: takes a device away from a VM that runs.
 *
 * @module
 */
import { call } from "../live/json_rpc.ts";
import { findVm } from "../live/run_directory.ts";
import type { Verb } from "../verb.ts";

const SECONDS = 10;

/** The row of `detach-device`. */
export const verb: Verb = {
  name: "detach-device",
  summary: "Take a device away from a live VM",
  description:
    "Asks the guest to let a device of the PCI bus go, and takes it away once it has. A guest that does " +
    "not answer keeps it; the device then goes when the guest lets it.",
  group: "live",
  flags: {
    timeout: {
      value: "seconds",
      metavar: "SECONDS",
      help: `How long to wait for the guest (${SECONDS})`,
    },
  },
  arguments: [
    { name: "NAME", value: "vm", help: "the VM" },
    { name: "DEVICE", value: "text", help: "the device's name" },
  ],
  reads: "nothing",
  writes: "records",
  examples: [{ line: "hvsh detach-device web disk1", needs: "kvm" }],
  async run({ name, device, timeout = SECONDS }, context) {
    const { control } = findVm(name as string);
    await call(control, "device.detach", { device, seconds: timeout });
    await context.emit({ live: name, device });
    return 0;
  },
};
