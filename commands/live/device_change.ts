/**
 * What differs of a saved VM's devices, as people write it: `disk0.path=/srv/web.img`.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { Flag } from "../verb.ts";

/** What to change of a device: `disk0`, `path`, a value as JSON has it. */
export type DeviceChange = readonly [device: string, key: string, value: Json];

/** The flag `--set`. */
export const setFlag: Flag = {
  value: "text",
  metavar: "DEVICE.KEY=VALUE",
  repeat: true,
  help: "what differs here: disk0.path=/srv/web.img, net0.mac=52:54:00:00:00:01",
};

/**
 * Reads a change.
 *
 * @param word `DEVICE.KEY=VALUE`; numbers and booleans as JSON has them, anything else as text
 * @throws {UsageError} If it is none
 */
export function deviceChange(word: string): DeviceChange {
  const [, device, key, text] = /^([^.=]+)\.([^.=]+)=(.*)$/s.exec(word) ?? [];
  if (device === undefined) {
    throw new UsageError(`--set ${word}: it is no DEVICE.KEY=VALUE`, {
      hint: "--set disk0.path=/srv/web.img",
    });
  }
  const isJson = /^(true|false|-?\d+(\.\d+)?)$/.test(text!);
  return [device, key!, isJson ? JSON.parse(text!) : text!];
}
