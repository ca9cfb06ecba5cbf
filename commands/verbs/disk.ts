/**
 * `disk`: a disk.
 *
 * @module
 */
import { DocumentError, UsageError } from "../../ffi/errors.ts";
import { parseNbdAddress } from "../../vmm/backends/disk/nbd_address.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import { absolutePath, diskPath } from "../image_path.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb, Words } from "../verb.ts";

const SOCKET = "unix:";
const SERVER = /^(unix:|nbd(\+unix)?:\/\/)/;
const TEMPORARY = "temporary";
const MOST_QUEUES = 16;
const MOST_SERIAL_BYTES = 20;

type Entry = Record<string, unknown>;

/** What means nothing any more once a disk has another key. */
const IDLE: Readonly<Record<string, readonly string[]>> = {
  path: ["nbd", "export", "timeout"],
  nbd: ["path", "overlay", "cache"],
  overlay: ["readonly", "cache"],
  readonly: ["overlay"],
  cache: ["overlay"],
};

/** What is behind it: an image, or a server. A disk that is there already may keep what it has. */
function source(words: Words, before: DeviceEntry | undefined, cwd: string): Entry {
  const word = words.path as string | undefined;
  if (word === undefined) {
    if (before?.type === "disk") return {};
    throw new UsageError("Which disk?", { hint: "hvsh disk root.img" });
  }
  if (!SERVER.test(word)) return { path: diskPath(word, cwd) };
  for (const name of ["overlay", "direct"]) {
    if (words[name] === undefined) continue;
    throw new UsageError(`For an NBD server, --${name} does nothing`);
  }
  if (word === SOCKET) {
    throw new UsageError("unix: wants the path of an NBD server's socket", {
      hint: "hvsh disk unix:/run/nbd.sock",
    });
  }
  const nbd = word.startsWith(`${SOCKET}/`) || !word.startsWith(SOCKET)
    ? word
    : SOCKET + absolutePath(word.slice(SOCKET.length), cwd);
  try {
    parseNbdAddress(nbd);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new UsageError(error.message, { hint: "hvsh disk unix:/run/nbd.sock", cause: error });
  }
  return { nbd };
}

function overlay(words: Words, cwd: string): Entry {
  const word = words.overlay as string | undefined;
  if (word === undefined) return {};
  for (const name of ["readonly", "direct"]) {
    if (words[name] === undefined) continue;
    throw new UsageError(`With an overlay, --${name} does nothing`, {
      hint: "the image itself is never written",
    });
  }
  return { overlay: word === TEMPORARY ? word : absolutePath(word, cwd) };
}

function serial(words: Words): Entry {
  const text = words.serial as string | undefined;
  if (text === undefined) return {};
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > 0 && bytes <= MOST_SERIAL_BYTES && !text.includes("\0")) return { serial: text };
  throw new UsageError(
    `The serial number ${JSON.stringify(text)} has not 1 to ${MOST_SERIAL_BYTES} bytes`,
  );
}

function limit(words: Words): Entry {
  const bytes = atLeastOne(words, "limit");
  const operations = atLeastOne(words, "operations");
  if (bytes === undefined && operations === undefined) return {};
  return {
    limit: {
      ...(bytes === undefined ? {} : { bytes }),
      ...(operations === undefined ? {} : { operations }),
    },
  };
}

function atLeastOne(words: Words, name: string): number | undefined {
  const value = words[name] as number | undefined;
  if (value === undefined || value >= 1) return value;
  throw new UsageError(`--${name} ${value}: it takes 1 at least`);
}

function queues(words: Words): Entry {
  const count = words.queues as number | undefined;
  if (count === undefined) return {};
  if (count >= 1 && count <= MOST_QUEUES) return { queues: count };
  throw new UsageError(`--queues ${count}: it takes 1 to ${MOST_QUEUES}`);
}

/** The row of the table. */
export const verb: Verb = {
  name: "disk",
  summary: "Add a disk, or change one",
  description:
    "Adds a virtio disk: a raw image, a block device, or an NBD server (unix:SOCKET, or " +
    "nbd+unix:///EXPORT?socket=SOCKET), such as qemu-nbd and nbdkit, which bring every other format. " +
    "With --overlay what the guest writes goes to a file of its own, or nowhere, and the image stays " +
    "as it is; several VMs may then share it. With the name of a disk that is there it changes that " +
    "one.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (disk0, disk1…)" },
    readonly: { short: "r", help: "Write nothing" },
    overlay: {
      short: "o",
      value: "path",
      metavar: "PATH|temporary",
      help: "Write to this file in place of the image, or forget it all at the end",
    },
    direct: { help: "Go around the host's page cache (O_DIRECT)" },
    serial: { value: "text", metavar: "TEXT", help: "Its serial number (its name)" },
    queues: { value: "number", metavar: "N", help: "Queues, such as one a CPU (1)" },
    limit: { value: "size", metavar: "BYTES", help: "Bytes a second" },
    operations: { value: "number", metavar: "N", help: "Requests a second" },
    transport: { value: ["pci", "mmio"], metavar: "BUS", help: "How the guest reaches it (pci)" },
  },
  arguments: [
    {
      name: "PATH",
      value: "path",
      optional: true,
      help: "An image, a block device, or unix:SOCKET",
    },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "truncate -s 64M a.img; hvsh create | hvsh disk a.img --overlay temporary | " +
        "jq -c '.devices[1]|[.type,.name,.overlay]'",
      prints: '["disk","disk0","temporary"]\n',
    },
    {
      line: "hvsh create | hvsh disk unix:/run/nbd.sock --readonly | jq -c .devices[1]",
      prints: '{"type":"disk","name":"disk0","nbd":"unix:/run/nbd.sock","readonly":true}\n',
    },
  ],
  build: (document, words, cwd) => {
    const name = words.name as string ?? freeName(document, "disk");
    const before = document.devices?.find((device) => device.name === name);
    const entry = {
      type: "disk",
      name,
      ...source(words, before, cwd),
      ...(words.readonly === true ? { readonly: true } : {}),
      ...overlay(words, cwd),
      ...(words.direct === true ? { cache: "none" } : {}),
      ...serial(words),
      ...queues(words),
      ...limit(words),
      ...(words.transport === undefined ? {} : { transport: words.transport }),
    };
    return withDevice(document, entry, Object.keys(entry).flatMap((key) => IDLE[key] ?? []));
  },
};
