/**
 * `hvsh detach-device`: takes a device away from a VM that runs.
 *
 * @module
 */
import { eachVm } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
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
    { name: "NAME", value: "vm", help: "the VM, a pattern, or - for handles on stdin" },
    { name: "DEVICE", value: "device", help: "the device's name" },
  ],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh detach-device web disk1", needs: "kvm" }],
  run(words, context) {
    const { device, timeout = SECONDS } = words;
    return eachVm(words, context, async (vm) => {
      await call(vm.control, "device.detach", { device, seconds: timeout });
      return { live: vm.name, device };
    });
  },
};
