/**
 * The debug exit port: the low byte of what is written ends the VM and is its exit status. QEMU's
 * isa-debug-exit, but with the status as it was written:
 * https://gitlab.com/qemu-project/qemu/-/blob/master/hw/misc/debugexit.c
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import type { DeviceType } from "../device.ts";

/** The port's state. */
export const DebugExitState = struct("debug_exit", {
  /** The last status written. */
  status: u8,
});

/** Ends the VM with a status of the guest's choice. */
export const debugExit: DeviceType<Record<string, unknown>> = {
  type: "debug_exit",
  state: DebugExitState,
  open(_config, context) {
    const state = new DebugExitState(context.state);
    const handler = {
      read: () => 0,
      write(_offset: number, _width: number, value: number) {
        state.status = value & 0xff;
        context.stop("exit", value & 0xff);
      },
    };
    return {
      ranges: [{ space: "pio", base: Port.DEBUG_EXIT, size: 4, maxWidth: 4, handler }],
      reset() {
        state.status = 0;
      },
    };
  },
};
