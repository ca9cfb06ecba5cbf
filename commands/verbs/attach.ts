/**
 * `hvsh attach`: a device for a VM that runs.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import { eachVm } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { parseWords } from "../argv.ts";
import type { Verb, VerbContext } from "../verb.ts";

/** The row of `attach`. */
export const verb: Verb = {
  name: "attach",
  summary: "Add a device to a live VM",
  description:
    "Plugs a device into the PCI bus of a VM that runs; its kernel takes it without being told to look. " +
    "The words are those of the verb that builds such a device, `disk`, `net`, `rng` and so on.",
  group: "live",
  flags: {},
  arguments: [
    { name: "NAME", value: "vm", help: "the VM, a pattern, or - for handles on stdin" },
    {
      name: "DEVICE",
      value: "device-verb",
      repeat: true,
      raw: true,
      help: "a device's verb and its words",
    },
  ],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh attach web disk data.img --readonly", needs: "kvm" }],
  run(words, context) {
    return eachVm(words, context, async (vm) => {
      const known = await call(vm.control, "device.list") as DeviceEntry[];
      const entry = await buildEntry(words.device as readonly string[], known, context);
      const device = await call(vm.control, "device.attach", { entry });
      return { live: vm.name, device };
    });
  },
};

/** Builds the device over a document that has the VM's own, so that its name is a free one. */
async function buildEntry(
  [word, ...argv]: readonly string[],
  devices: DeviceEntry[],
  context: VerbContext,
): Promise<DeviceEntry> {
  const { loadVerb } = await import("../table.ts");
  const builder = await loadVerb(word!);
  if (builder?.build === undefined || builder.inline === undefined) {
    throw new UsageError(`"${word}" is no verb that adds a device`, { hint: "hvsh help attach" });
  }
  const built = builder.build({ vm: 1, devices }, parseWords(builder, argv), context.cwd);
  const entry = built.devices?.[devices.length];
  if (entry === undefined) throw new VmError("There is a device of that name already");
  return entry;
}
