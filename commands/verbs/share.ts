/**
 * `share`: a folder of the host in the guest.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { DeviceEntry, VmDocument } from "../../vmm/document.ts";
import { absolutePath, folderPath } from "../image_path.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

const MOST_TAG_BYTES = 36;
const MOST_ID = 0xffff_fffe;

/** `PATH[:TAG]`; a folder may have a colon in its own name. */
function placeOf(
  word: string | undefined,
  before: DeviceEntry | undefined,
  cwd: string,
): { path?: string; tag?: string } {
  if (word === undefined) {
    if (before?.type === "share") return {};
    throw new UsageError("Name the folder to share", { hint: "hvsh share ." });
  }
  const colon = word.lastIndexOf(":");
  if (colon <= 0 || word.endsWith("/") || isFolder(word, cwd)) return { path: word };
  return { path: word.slice(0, colon), tag: word.slice(colon + 1) };
}

function isFolder(path: string, cwd: string): boolean {
  try {
    return Deno.statSync(absolutePath(path, cwd)).isDirectory;
  } catch {
    return false; // the error that counts is that of the path without the tag
  }
}

function checkTag(tag: string, name: string, document: VmDocument): void {
  const bytes = new TextEncoder().encode(tag).length;
  if (bytes === 0 || bytes > MOST_TAG_BYTES || tag.includes("\0")) {
    throw new UsageError(`Cannot take the tag ${JSON.stringify(tag)}: it has 1 to 36 bytes`, {
      hint: "hvsh share .:work; in the guest: mount -t virtiofs work /mnt",
    });
  }
  const other = document.devices?.find((device) =>
    device.type === "share" && device.name !== name && (device.tag ?? device.name) === tag
  );
  if (other === undefined) return;
  throw new UsageError(`The tag "${tag}" is that of ${other.name ?? "another share"} already`);
}

function checkId(flag: string, id: number): number {
  if (Number.isInteger(id) && id >= 0 && id <= MOST_ID) return id;
  throw new UsageError(`--${flag} ${id}: it is a number from 0 to ${MOST_ID}`);
}

/** The row of the table. */
export const verb: Verb = {
  name: "share",
  summary: "Share a folder with the guest, or change one that is shared",
  description:
    "Adds a virtio-fs device: the guest sees the folder with `mount -t virtiofs TAG /mnt`. It is read-only " +
    "unless --writable says otherwise. Symbolic links are the guest's to follow and never lead out of " +
    "the folder on the host; /proc, /sys and their like below it show as empty. Files of the host's " +
    "user are root's in the guest, and new files are that user's; nothing becomes set-user-ID. With " +
    "the name of a share that is there it changes that one.",
  group: "build",
  flags: {
    tag: {
      short: "t",
      value: "text",
      metavar: "TAG",
      help: "What the guest mounts it by (its name)",
    },
    writable: { short: "w", help: "Let the guest write" },
    uid: { value: "number", metavar: "N", help: "What all files' owner is in the guest" },
    gid: { value: "number", metavar: "N", help: "What all files' group is in the guest" },
    cache: {
      value: ["none", "auto", "always"],
      metavar: "HOW",
      help: "What the guest may keep: nothing, for a second, for ever (auto)",
    },
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (share0, share1…)" },
  },
  arguments: [
    { name: "PATH[:TAG]", value: "path", optional: true, help: "The folder, of a new share" },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh share /usr/share:data --cache always | jq -c .devices[1]",
      prints:
        '{"type":"share","name":"share0","path":"/usr/share","tag":"data","cache":"always"}\n',
    },
    {
      line:
        "hvsh create | hvsh share /tmp --writable --uid 1000 | jq -c '.devices[1]|[.readonly,.uid]'",
      prints: "[false,1000]\n",
    },
  ],
  build: (document, words, cwd) => {
    const name = words.name as string ?? freeName(document, "share");
    const before = document.devices?.find((device) => device.name === name);
    const place = placeOf(words.path as string | undefined, before, cwd);
    const tag = words.tag as string ?? place.tag;
    checkTag(tag ?? before?.tag as string ?? name, name, document);
    return withDevice(document, {
      type: "share",
      name,
      ...(place.path === undefined ? {} : { path: folderPath(place.path, cwd) }),
      ...(tag === undefined ? {} : { tag }),
      ...(words.writable === undefined ? {} : { readonly: false }),
      ...(words.uid === undefined ? {} : { uid: checkId("uid", words.uid as number) }),
      ...(words.gid === undefined ? {} : { gid: checkId("gid", words.gid as number) }),
      ...(words.cache === undefined ? {} : { cache: words.cache }),
    });
  },
};
