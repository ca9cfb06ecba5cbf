/**
 * From a document's `type` to the code of a device. What every machine has is here at once; the
 * others are loaded by the machines that have them.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { DeviceType, Transport } from "../device.ts";
import { nearestWord } from "../nearest_word.ts";
import { debugConsole } from "./debug_console.ts";
import { debugExit } from "./debug_exit.ts";
import { i8042 } from "./i8042.ts";
import { powerManagement } from "./power_management.ts";
import { pvpanic } from "./pvpanic.ts";
import { rtc } from "./rtc.ts";
import { serial } from "./serial.ts";
import { vmgenid } from "./vmgenid.ts";
import type { VirtioDeviceType } from "../virtio/virtio_device.ts";

/** The kinds of device that hvsh has, by their word in a document. */
const LOADERS = new Map<string, () => DeviceType | Promise<DeviceType>>([
  ["serial", () => serial],
  ["i8042", () => i8042],
  ["rtc", () => rtc],
  ["debug_exit", () => debugExit],
  ["debug_console", () => debugConsole],
  ["pm", () => powerManagement],
  ["pvpanic", () => pvpanic],
  ["vmgenid", () => vmgenid],
  ["test_device", async () => (await import("./test_device.ts")).testDevice],
  ["fw_cfg", async () => (await import("./fw_cfg.ts")).fwCfg],
  ["watchdog", async () => (await import("./watchdog.ts")).watchdog],
  ["pci_host", async () => (await import("../pci/host.ts")).pciHost],
]);

/** The kinds of virtio device, by their word in a document. */
const VIRTIO = new Map<string, () => Promise<VirtioDeviceType>>([
  ["disk", async () => (await import("../virtio/disk.ts")).disk],
  ["net", async () => (await import("../virtio/net.ts")).net],
  ["share", async () => (await import("../virtio/share.ts")).share],
  ["console", async () => (await import("../virtio/console.ts")).virtioConsole],
  ["vsock", async () => (await import("../virtio/vsock.ts")).vsock],
  ["rng", async () => (await import("../virtio/rng.ts")).rng],
  ["balloon", async () => (await import("../virtio/balloon.ts")).balloon],
]);

/** Bytes of registers; more than any device has. */
const MOST_STATE = 2 ** 24;
/** Bytes of a device's program. */
const MOST_SOURCE = 2 ** 26;
/** How long a user's module may take to load, what it imports from the network included. */
const MOST_LOAD_SECONDS = 60;

/** The words that {@linkcode loadDeviceType} knows. */
export const deviceTypes: readonly string[] = [...LOADERS.keys(), ...VIRTIO.keys()];

/**
 * Loads the code of one kind of device.
 *
 * @param type The word in the document
 * @param module URL of a user's module whose default export is the kind, in place of one of ours
 * @param transport How a virtio device is reached
 * @returns The kind
 * @throws {DocumentError} If there is no such kind, or the module has none
 */
export async function loadDeviceType(
  type: string,
  module?: string,
  transport: Transport = "pci",
): Promise<DeviceType> {
  if (module !== undefined) {
    const own = await loadModule(module);
    return "queues" in own ? await overTransport(own, transport) : own;
  }
  const load = LOADERS.get(type);
  if (load !== undefined) return await load();
  const virtio = VIRTIO.get(type);
  if (virtio !== undefined) return await overTransport(await virtio(), transport);
  const nearest = nearestWord(type, deviceTypes);
  throw new DocumentError(`No device is of type "${type.slice(0, 64)}"`, {
    hint: nearest === undefined
      ? `there are ${deviceTypes.join(", ")}, and \`hvsh device FILE.ts\` for your own`
      : `did you mean "${nearest}"?`,
  });
}

async function overTransport(kind: VirtioDeviceType, transport: Transport): Promise<DeviceType> {
  if (transport === "pci") return (await import("../virtio/pci_transport.ts")).virtioPci(kind);
  return (await import("../virtio/mmio_transport.ts")).virtioMmio(kind);
}

async function loadModule(url: string): Promise<DeviceType | VirtioDeviceType> {
  const file = fileOf(url);
  const loaded = await importInTime(url, file);
  const missing = missingFrom(loaded.default);
  if (missing !== undefined) {
    throw new DocumentError(`${file}: ${missing}`, {
      hint: "a device's file says `export default { type, state, open } satisfies DeviceType`",
    });
  }
  return loaded.default as DeviceType | VirtioDeviceType;
}

/** The path behind a file's URL, if something can be imported from it; other URLs as they are. */
function fileOf(url: string): string {
  if (!URL.canParse(url)) {
    throw new DocumentError(`VM document, devices: the module "${url.slice(0, 64)}" is no URL`, {
      hint: "`hvsh device FILE.ts` writes one",
    });
  }
  if (!url.startsWith("file:")) return url;
  let file = url;
  try {
    file = decodeURIComponent(new URL(url).pathname);
    const { isFile, size } = Deno.statSync(file);
    // The import of /dev/zero, or of a FIFO, would have no end.
    if (!isFile || size > MOST_SOURCE) throw new Error("it is not a file of a program's size");
    return file;
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause;
    throw cannotLoad(file, reason);
  }
}

/** A module that waits at its top level for something that never comes must not hang its VM. */
async function importInTime(url: string, file: string): Promise<{ default?: unknown }> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`it has not loaded within ${MOST_LOAD_SECONDS} s`)),
    MOST_LOAD_SECONDS * 1000,
  );
  try {
    return await Promise.race([import(url), late.promise]);
  } catch (cause) {
    throw cannotLoad(file, cause);
  } finally {
    clearTimeout(timer);
  }
}

function cannotLoad(file: string, cause: unknown): DocumentError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const [reason, ...more] = message.split("\n");
  const place = /^ *at (file:\S+)$/m.exec(more.join("\n"))?.[1];
  return new DocumentError(`${file}: cannot load the device: ${reason}`, {
    cause,
    ...(place === undefined ? {} : { hint: `look at ${place}` }),
  });
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
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    return 'the default export has no "state", the layout that `struct()` gives';
  }
  if (size > MOST_STATE) {
    return `its "state" has ${size} bytes, a device has ${MOST_STATE} at most`;
  }
  if (typeof open !== "function") {
    return 'the default export has no "open", a function (config, context) => Device';
  }
  return undefined;
}
