/**
 * A device as users write them: it says on its output what is done to it, one access a line. A byte
 * at offset n reads as 0xa0 + n.
 *
 * @module
 */
import { struct, u32 } from "../../ffi/struct.ts";
import type { DeviceType, IoHandler, IoRange } from "../../vmm/device.ts";

const State = struct("access_log", { accesses: u32 });

export default {
  type: "access_log",
  state: State,
  open(_config, context) {
    const state = new State(context.state);
    const log = (line: string) => {
      state.accesses++;
      for (const byte of new TextEncoder().encode(`${line}\n`)) context.output.write(byte);
    };
    const handler = (name: string): IoHandler => ({
      read(offset, width) {
        log(`${name} r${width}@${offset}`);
        let value = 0;
        for (let i = width - 1; i >= 0; i--) value = value * 256 + 0xa0 + offset + i;
        return value;
      },
      write: (offset, width, value) => log(`${name} w${width}@${offset}=${value.toString(16)}`),
    });
    const ranges: IoRange[] = [
      { space: "pio", base: 0x300, size: 8, maxWidth: 4, handler: handler("port") },
      { space: "pio", base: 0x310, size: 4, maxWidth: 1, handler: handler("byte") },
      { space: "mmio", base: 0xd000_0000, size: 16, maxWidth: 4, handler: handler("mem") },
    ];
    return {
      ranges,
      reset() {
        state.accesses = 0;
      },
    };
  },
} satisfies DeviceType;
