/**
 * What a device of a saved state wants of its host. Files are opened to be looked at, and no more.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { hasSlirp } from "../../ffi/slirp.ts";
import type { Json } from "../../ffi/struct.ts";
import { findPasst } from "../backends/net/passt.ts";
import { type Backing, changedBacking, fileBacking, placeBacking } from "../backing.ts";
import type { DeviceEntry } from "../document.ts";
import { deviceTypes } from "../devices/registry.ts";

/** What one part wants. */
export interface Need {
  /** `format`, `cpus`, `features`, `memory`, or a device's name. */
  readonly part: string;
  readonly wants: string;
  readonly ok: boolean;
  /** What is amiss. */
  readonly why?: string;
}

/**
 * Says what comes of trying.
 *
 * @param part Whose it is
 * @param wants What it wants
 * @param work Gives what is amiss, or throws it
 */
export function tried(part: string, wants: string, work: () => string | undefined): Need {
  try {
    const why = work();
    return { part, wants, ok: why === undefined, ...(why === undefined ? {} : { why }) };
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    return { part, wants, ok: false, why: error.message };
  }
}

/**
 * Opens a file for a look at it.
 *
 * @param path The file
 * @param flags How its device would
 * @param look Looks
 * @throws {HostError} If it can't be opened
 */
export function withFile<T>(path: string, flags: number, look: (fd: number) => T): T {
  const fd = openFile(path, flags | OpenFlag.NONBLOCK | OpenFlag.NOCTTY);
  try {
    return look(fd);
  } finally {
    closeFile(fd);
  }
}

/**
 * What a device wants.
 *
 * @param entry Its entry of the document
 * @param backing What a record says that stood behind a device
 * @param named Devices whose files somebody has named for this host
 */
export function deviceNeed(
  entry: DeviceEntry,
  backing: (name: string) => Json | undefined,
  named: ReadonlySet<string>,
): Need {
  const { type, name = type } = entry;
  const word = (key: string): string | undefined => {
    const value = (entry as { readonly [key: string]: unknown })[key];
    return typeof value === "string" ? value : undefined;
  };
  const asItWas = (is: readonly Backing[]) => {
    const changed = named.has(name) ? undefined : changedBacking(backing(name), is);
    return changed === undefined ? undefined : `${changed.path}: ${changed.why}`;
  };
  const module = word("module");
  if (module !== undefined) {
    return tried(name, `the program ${module}`, () => {
      const path = module.startsWith("file:") ? decodeURIComponent(new URL(module).pathname) : "";
      return path === "" ? undefined : withFile(path, OpenFlag.RDONLY, () => undefined);
    });
  }
  const path = word("path") ?? "";
  switch (type) {
    case "disk": {
      const overlay = word("overlay");
      const wants = path === "" ? word("nbd") ?? "" : path;
      if (path === "") return tried(name, wants, () => undefined);
      const readonly = overlay !== undefined || entry.readonly === true;
      return tried(
        name,
        overlay === undefined ? wants : `${wants} below ${overlay}`,
        () =>
          withFile(path, readonly ? OpenFlag.RDONLY : OpenFlag.RDWR, (fd) => {
            const is = [fileBacking(fd, path)];
            if (overlay === undefined || overlay === "temporary") return asItWas(is);
            return withFile(
              overlay,
              OpenFlag.RDWR,
              (own) => asItWas([...is, fileBacking(own, overlay)]),
            );
          }),
      );
    }
    case "share":
      return tried(
        name,
        `the folder ${path}`,
        () => withFile(path, OpenFlag.RDONLY, (fd) => asItWas([placeBacking(fd, path)])),
      );
    case "net":
      return networkNeed(name, word("backend") ?? "user", word("interface"));
    case "vsock":
      return tried(name, `sockets at ${path}`, () => undefined);
    default:
      return tried(
        name,
        `a device of type ${type}`,
        () => deviceTypes.includes(type) ? undefined : "no device is of that type",
      );
  }
}

function networkNeed(name: string, backend: string, tap: string | undefined): Need {
  const lacks = (what: string) => `there is no ${what}`;
  switch (backend) {
    case "user":
      return tried(
        name,
        "a user network",
        () => findPasst() !== undefined || hasSlirp() ? undefined : lacks("passt and no libslirp"),
      );
    case "passt":
      return tried(name, "passt", () => findPasst() === undefined ? lacks("passt") : undefined);
    case "slirp":
      return tried(name, "libslirp", () => hasSlirp() ? undefined : lacks("libslirp"));
    case "tap":
      return tried(
        name,
        tap === undefined ? "a tap" : `the tap ${tap}`,
        () => withFile("/dev/net/tun", OpenFlag.RDWR, () => undefined),
      );
    default: {
      const path = backend.replace(/^unix:/, "");
      return tried(
        name,
        `the socket ${path}`,
        () => isSocket(path) ? undefined : lacks(`socket ${path}`),
      );
    }
  }
}

function isSocket(path: string): boolean {
  try {
    return Deno.statSync(path).isSocket === true;
  } catch {
    return false;
  }
}
