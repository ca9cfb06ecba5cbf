/**
 * `balloon`: memory that goes back to the host while the guest does not need it.
 *
 * @module
 */
import { freeName, withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "balloon",
  summary: "Take memory back from the guest, and see how much it uses",
  description:
    "Adds a virtio memory balloon. What the guest has free goes back to the host by itself; with " +
    "--target the guest gives up that much of its memory. With the name of a balloon that is there it " +
    "changes that one.",
  group: "build",
  flags: {
    target: {
      short: "t",
      value: "size",
      metavar: "SIZE",
      help: "Memory to take from the guest (0)",
    },
    stats: {
      short: "s",
      value: "seconds",
      metavar: "SECONDS",
      help: "Ask the guest for its figures this often (only at its start)",
    },
    "no-deflate": { help: "Keep the memory even when the guest has none left" },
    "no-reporting": { help: "Leave free memory with the guest, but for the target" },
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (balloon0)" },
  },
  arguments: [],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create -m 1G | hvsh balloon --target 256M --stats 2 | jq -c .devices[1]",
      prints: '{"type":"balloon","name":"balloon0","target":268435456,"statsInterval":2}\n',
    },
    {
      line: "hvsh create | hvsh balloon --no-deflate | jq .devices[1].deflateOnOom",
      prints: "false\n",
    },
  ],
  build: (document, words) =>
    withDevice(document, {
      type: "balloon",
      name: words.name as string ?? freeName(document, "balloon"),
      ...(words.target === undefined ? {} : { target: words.target }),
      ...(words.stats === undefined ? {} : { statsInterval: words.stats }),
      ...(words["no-deflate"] === true ? { deflateOnOom: false } : {}),
      ...(words["no-reporting"] === true ? { reporting: false } : {}),
    }),
};
