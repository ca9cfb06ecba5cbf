/**
 * From a document's `type` to the code of a device. What every machine has is here at once; the
 * others are loaded by the machines that have them.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { DeviceType } from "../device.ts";
import { nearestWord } from "../nearest_word.ts";
import { debugConsole } from "./debug_console.ts";
import { debugExit } from "./debug_exit.ts";
import { i8042 } from "./i8042.ts";
import { powerManagement } from "./power_management.ts";
import { pvpanic } from "./pvpanic.ts";
import { rtc } from "./rtc.ts";
import { serial } from "./serial.ts";

/** The kinds of device that hvsh has, by their word in a document. */
const LOADERS = new Map<string, () => DeviceType | Promise<DeviceType>>([
  ["serial", () => serial],
  ["i8042", () => i8042],
  ["rtc", () => rtc],
  ["debug_exit", () => debugExit],
  ["debug_console", () => debugConsole],
  ["pm", () => powerManagement],
  ["pvpanic", () => pvpanic],
  ["test_device", async () => (await import("./test_device.ts")).testDevice],
  ["fw_cfg", async () => (await import("./fw_cfg.ts")).fwCfg],
]);

/** The words that {@linkcode loadDeviceType} knows. */
export const deviceTypes: readonly string[] = [...LOADERS.keys()];

/**
 * Loads the code of one kind of device.
 *
 * @param type The word in the document
 * @param module URL of a user's module whose default export is the kind, in place of one of ours
 * @returns The kind
 * @throws {DocumentError} If there is no such kind, or the module has none
 */
export async function loadDeviceType(type: string, module?: string): Promise<DeviceType> {
  if (module !== undefined) return await loadModule(module);
  const load = LOADERS.get(type);
  if (load !== undefined) return await load();
  const nearest = nearestWord(type, deviceTypes);
  throw new DocumentError(`No device is of type "${type.slice(0, 64)}"`, {
    hint: nearest === undefined
      ? `there are ${deviceTypes.join(", ")}, and \`hvsh device FILE.ts\` for your own`
      : `did you mean "${nearest}"?`,
  });
}

async function loadModule(url: string): Promise<DeviceType> {
  const file = url.startsWith("file:") ? decodeURIComponent(new URL(url).pathname) : url;
  let loaded: { default?: unknown };
  try {
    loaded = await import(url);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DocumentError(`${file}: cannot load the device: ${reason}`, { cause });
  }
  const missing = missingFrom(loaded.default);
  if (missing !== undefined) {
    throw new DocumentError(`${file}: ${missing}`, {
      hint: "a device's file says `export default { type, state, open } satisfies DeviceType`",
    });
  }
  return loaded.default as DeviceType;
}

/** What keeps a value from being a {@linkcode DeviceType}. */
function missingFrom(value: unknown): string | undefined {
  if (value === undefined) return "there is no default export";
  if (value === null || typeof value !== "object") return "the default export is not an object";
  const { type, state, open } = value as { [K in keyof DeviceType]?: unknown };
  if (typeof type !== "string" || type === "") {
    return 'the default export has no "type", the word that names the kind of device';
  }
  const size = typeof state === "function" ? (state as { size?: unknown }).size : undefined;
  if (!Number.isSafeInteger(size)) {
    return 'the default export has no "state", the layout that `struct()` gives';
  }
  if (typeof open !== "function") {
    return 'the default export has no "open", a function (config, context) => Device';
  }
  return undefined;
}
