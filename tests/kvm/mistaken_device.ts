/**
 * A device with the mistake that its entry in the document names, each of a kind that types would
 * have prevented or that shows only when it runs. Port 0x300 is its own.
 *
 * @module
 */
import { struct, u8 } from "../../ffi/struct.ts";
import type { DeviceContext, DeviceType } from "../../vmm/device.ts";

/** What goes wrong where. */
export interface MistakenConfig {
  /** The function that fails. */
  readonly where: string;
}

function fail(where: string): never {
  throw new Error(`${where} fails`);
}

/** What a read gives, by the mistake's name. */
const READS: Readonly<Record<string, (context: DeviceContext) => unknown>> = {
  "read": () => fail("read"),
  "memory": ({ memory }) => memory.readU32(2 ** 50),
  "bigint": () => 1n,
  "undefined": () => undefined,
  "NaN": () => NaN,
  "minus one": () => -1,
  "too wide": () => 2 ** 40 + 0x55,
};

export default {
  type: "mistaken",
  state: struct("mistaken", { unused: u8 }),
  open({ where }, context) {
    if (where === "open") fail(where);
    const timed = where === "deadline" || where === "expire" || where === "never";
    return {
      ranges: [{
        space: "pio",
        base: 0x300,
        size: 1,
        maxWidth: 1,
        handler: {
          read: () => (READS[where]?.(context) ?? 0) as number,
          write() {
            if (where === "write") fail(where);
            if (timed) context.rearm();
          },
        },
      }],
      reset() {
        if (where === "reset") fail(where);
      },
      ...(timed
        ? {
          deadline: () => where === "deadline" ? fail(where) : where === "never" ? NaN : 1,
          expire: () => fail(where),
        }
        : {}),
      ...(where === "receive" ? { receive: () => fail(where) } : {}),
    };
  },
} satisfies DeviceType<MistakenConfig>;
