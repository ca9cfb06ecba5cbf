/**
 * From a kind of virtio device to a kind of device of the machine.
 *
 * @module
 */
import { struct } from "../../ffi/struct.ts";
import type { Device, DeviceContext, DeviceType } from "../device.ts";
import { VirtioState } from "./transport_state.ts";
import type { VirtioDeviceType } from "./virtio_device.ts";

/**
 * What both transports' kinds have in common: state (the transport's, then the device's own) and an
 * eventfd a queue.
 *
 * @param type The virtio device
 * @param open Opens it behind a transport
 * @returns The machine's kind
 */
export function transportType(
  type: VirtioDeviceType,
  // deno-lint-ignore no-explicit-any -- each kind has a configuration of its own
  open: (config: any, context: DeviceContext) => Device,
): DeviceType {
  return {
    type: type.type,
    virtio: type.virtio,
    state: struct(`virtio_${type.type}`, { transport: VirtioState, device: type.state }),
    ...(type.schema && { schema: type.schema }),
    events: (config) => type.queues(config).length,
    ...(type.prepare && {
      // A method of the kind: it may use `this`.
      prepare: (config, context) => type.prepare!(config, context),
    }),
    open,
  };
}
