/**
 * `hvsh ctl`: a word to a device of a VM that runs.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { call } from "../live/json_rpc.ts";
import { findVm } from "../live/run_directory.ts";
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
    { name: "NAME", value: "vm", help: "the VM" },
    { name: "DEVICE", value: "text", help: "the device's name" },
    { name: "WORD", value: "text", help: "what it is to do" },
    { name: "VALUE", value: "text", optional: true, help: "with what" },
  ],
  reads: "nothing",
  writes: "nothing",
  examples: [{ line: "hvsh ctl web pm powerbutton", needs: "kvm" }],
  async run({ name, device, word, value }) {
    const { control } = findVm(name as string);
    const params = { device, action: word, ...(value === undefined ? {} : { value }) };
    if (await call(control, "device.act", params) === true) return 0;
    throw new VmError(`${name} has no device ${device} that takes "${word}"`, {
      hint: `hvsh stat ${name}`,
    });
  },
};
