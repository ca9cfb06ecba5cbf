/**
 * From a document's `type` to the code of a device. Each is loaded when a machine has it, so that a
 * small guest starts without the others.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { DocumentError } from "../../ffi/errors.ts";
import type { DeviceType } from "../device.ts";
import { nearestWord } from "../nearest_word.ts";

/** The kinds of device that hvsh has, by their word in a document. */
const LOADERS = new Map<string, () => Promise<DeviceType>>([
  ["serial", async () => (await import("./serial.ts")).serial],
  ["i8042", async () => (await import("./i8042.ts")).i8042],
  ["rtc", async () => (await import("./rtc.ts")).rtc],
  ["debug_exit", async () => (await import("./debug_exit.ts")).debugExit],
  ["debug_console", async () => (await import("./debug_console.ts")).debugConsole],
  ["test_device", async () => (await import("./test_device.ts")).testDevice],
  ["pm", async () => (await import("./power_management.ts")).powerManagement],
  ["fw_cfg", async () => (await import("./fw_cfg.ts")).fwCfg],
  ["pvpanic", async () => (await import("./pvpanic.ts")).pvpanic],
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
  const file = url.startsWith("file:") ? fileURLToPath(url) : url;
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
