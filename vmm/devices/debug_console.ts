/**
 * The debug console of Bochs and QEMU's isa-debugcon: bytes written come out, and a read gives
 * 0xe9, by which guests find it:
 * https://gitlab.com/qemu-project/qemu/-/blob/master/hw/char/debugcon.c
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import type { DeviceType } from "../device.ts";

/** A debug console's entry in the document. */
export interface DebugConsoleConfig {
  /** Its port; 0xe9 if left out. SeaBIOS writes to 0x402. */
  port?: number;
}

const READBACK = 0xe9;

/** The console's state. */
export const DebugConsoleState = struct("debug_console", {
  /** The last byte written. */
  last: u8,
});

/** A console of one port, out only. */
export const debugConsole: DeviceType<DebugConsoleConfig> = {
  type: "debug_console",
  state: DebugConsoleState,
  open(config, context) {
    const state = new DebugConsoleState(context.state);
    const handler = {
      read: () => READBACK,
      write(_offset: number, _width: number, value: number) {
        state.last = value;
        context.output.write(value);
      },
    };
    const base = config.port ?? Port.DEBUGCON;
    return {
      ranges: [{ space: "pio", base, size: 1, maxWidth: 1, handler }],
      reset() {
        state.last = 0;
      },
    };
  },
};
