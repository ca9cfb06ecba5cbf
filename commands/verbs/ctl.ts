/**
 * `hvsh ctl`: a word to a device of a VM that runs.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { eachVm, request } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import type { Verb } from "../verb.ts";

/** The row of `ctl`. */
export const verb: Verb = {
  name: "ctl",
  summary: "Tell a device of a live VM to do something",
  description:
    "Says a word to a device, as the files of its folder take it: `resize 2G` and `resize` to a disk, " +
    "`link down` to a net, `size 120x40` to a console, `target 128M` to a balloon, `powerbutton` to pm, " +
    "`break` to a serial port.",
  group: "live",
  flags: {},
  arguments: [
    { name: "NAME", value: "vm", help: "the VM, a pattern, or - for handles on stdin" },
    { name: "DEVICE", value: "device", help: "the device's name" },
    { name: "WORD", value: "device-word", help: "what it is to do" },
    { name: "VALUE", value: "device-value", optional: true, help: "with what" },
  ],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh ctl web pm powerbutton", needs: "kvm" }],
  run(words, context) {
    const { device, word, value } = words;
    const params = { device, action: word, ...(value === undefined ? {} : { value }) };
    return eachVm(words, context, async (vm) => {
      if (await call(vm.control, "device.act", params) === true) return request(vm, "status");
      throw new VmError(`${vm.name} has no device ${device} that takes "${word}"`, {
        hint: `hvsh stat ${vm.name}`,
      });
    });
  },
};
