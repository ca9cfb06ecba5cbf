/**
 * The benches' mark port: the time between a guest's two marks, taken in the vCPU's own thread, goes
 * out as eight bytes.
 *
 * @module
 */
import { f64, struct } from "../../ffi/struct.ts";
import type { DeviceType } from "../../vmm/device.ts";
import { Mark, MARK_PORT } from "./guests.ts";

const MarkState = struct("mark", {
  /** When the guest marked its begin, in milliseconds. */
  begin: f64,
});

/** The mark port. */
const mark: DeviceType = {
  type: "mark",
  state: MarkState,
  open(_config, context) {
    const state = new MarkState(context.state);
    const handler = {
      read: () => 0xff,
      write(_offset: number, _width: number, value: number) {
        if (value === Mark.BEGIN) {
          state.begin = context.monotonic();
          return;
        }
        const elapsed = new Float64Array([context.monotonic() - state.begin]);
        for (const byte of new Uint8Array(elapsed.buffer)) context.output.write(byte);
      },
    };
    return {
      ranges: [{ space: "pio", base: MARK_PORT, size: 1, maxWidth: 1, handler }],
      reset() {
        state.begin = 0;
      },
    };
  },
};

export default mark;
