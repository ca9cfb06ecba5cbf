/**
 * A VM's devices: what there are, what they count, and those that come and go.
 *
 * @module
 */
import { parseDevice } from "../../../vmm/document.ts";
import type { MethodGroup } from "../methods.ts";

/** The group `device`. */
export const methods: MethodGroup = ({ machine }) => ({
  list: () => machine.devices,
  stats: () => machine.stats(),
  attach: ({ entry }) => machine.attach(parseDevice(entry, "attach")),
  detach: async ({ device, seconds }) => {
    await machine.detach(String(device), AbortSignal.timeout(Number(seconds) * 1000));
  },
  act: ({ device, action, value }) =>
    machine.act(String(device), String(action), value === undefined ? value : String(value)),
});
