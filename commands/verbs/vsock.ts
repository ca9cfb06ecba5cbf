/**
 * `vsock`: stream sockets between guest and host, as unix sockets.
 *
 * @module
 */
import { absolutePath } from "../image_path.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "vsock",
  summary: "Connect programs in the guest and on the host by sockets, without a network",
  description:
    "Adds a virtio socket device. A program on the host connects to the unix socket PATH and writes " +
    '"CONNECT PORT" and a newline to reach a port of the guest; "OK" and a number come back when the ' +
    "guest has accepted. A guest that connects to port P of the host (CID 2) reaches whoever listens " +
    "on the unix socket PATH_P. With the name of a device that is there it changes that one.",
  group: "build",
  flags: {
    cid: { short: "c", value: "number", metavar: "N", help: "The guest's CID, from 3 (3)" },
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (vsock0)" },
  },
  arguments: [
    { name: "PATH", value: "path", help: "The unix socket that the VM makes while it runs" },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh vsock --cid 5 /tmp/web.vsock | jq -c .devices[1]",
      prints: '{"type":"vsock","name":"vsock0","cid":5,"path":"/tmp/web.vsock"}\n',
    },
  ],
  build: (document, words, cwd) =>
    withDevice(document, {
      type: "vsock",
      name: words.name as string ?? freeName(document, "vsock"),
      ...(words.cid === undefined ? {} : { cid: words.cid }),
      path: absolutePath(words.path as string, cwd),
    }),
};
