/**
 * Which of the host's folders a guest's command sees, and as what.
 *
 * @module
 */
import type { GuestCommand, MountedShare } from "../../vmm/boot/guest_init/guest_command.ts";
import type { DeviceEntry, VmDocument } from "../../vmm/document.ts";
import { freeName } from "../named_device.ts";

/** What programs write to; the guest's own, so that the host's is neither seen nor changed. */
const OWN_FOLDERS = ["/tmp", "/run"];
/** The guest's kernel has these. */
const SYSTEM_FOLDERS = ["/dev", "/proc", "/sys"];

/** The shares of a command, and the devices of those that the document has not. */
export interface CommandShares extends Pick<GuestCommand, "root" | "shares" | "ownFolders"> {
  readonly added: readonly DeviceEntry[];
}

/**
 * Says what a guest mounts: the host's files as its root, read-only unless the document shares `/`
 * otherwise; folders that the document shares at their own paths; and the folder that the command
 * runs in, where that would be hidden.
 *
 * @param document The VM
 * @param cwd The folder that the command runs in, with no symbolic link in its path
 */
export function commandShares(document: VmDocument, cwd: string): CommandShares {
  const given = (document.devices ?? []).filter(({ type }) => type === "share").map(mountOf);
  const added: DeviceEntry[] = [];
  const add = (name: string, path: string): MountedShare => {
    const taken = { ...document, devices: [...document.devices ?? [], ...added] };
    const free = taken.devices.some((device) => device.name === name)
      ? freeName(taken, "share")
      : name;
    added.push({ type: "share", name: free, path });
    return { tag: free, path, readonly: true };
  };
  const root = given.find(({ path }) => path === "/") ?? add("hostfs", "/");
  const shares = given.filter((share) => share !== root);
  const ownFolders = OWN_FOLDERS.map(realPath).filter((path) => path !== undefined);
  const hidden = [...ownFolders, ...SYSTEM_FOLDERS].some((folder) => isBelow(cwd, folder));
  if (hidden && !shares.some(({ path }) => isBelow(cwd, path))) shares.push(add("folder", cwd));
  // A mount hides what is below it, so what is above comes first.
  shares.sort((a, b) => a.path.length - b.path.length);
  return { root, shares, ownFolders, added };
}

function mountOf({ path, tag, name, readonly }: DeviceEntry): MountedShare {
  return {
    tag: (tag ?? name) as string,
    path: realPath(path as string) ?? path as string,
    readonly: readonly !== false,
  };
}

/** What a path means; undefined if there is nothing. */
function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
