/**
 * `rng`: random numbers for the guest.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

function limit(bytes: number): { bytes: number } {
  if (bytes >= 1) return { bytes };
  throw new UsageError("A random number generator gives a byte a second at least");
}

/** The row of the table. */
export const verb: Verb = {
  name: "rng",
  summary: "Add a random number generator, or change one",
  description: "Adds a virtio random number generator: it gives the guest what the host's kernel " +
    "gives its own programs. With the name of one that is there it changes that one.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (rng0, rng1…)" },
    limit: {
      value: "size",
      metavar: "BYTES",
      help: "Bytes a second, 64K (as many as it asks for)",
    },
  },
  arguments: [],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh rng --limit 64K | jq -c .devices[1]",
      prints: '{"type":"rng","name":"rng0","limit":{"bytes":65536}}\n',
    },
  ],
  build: (document, words) =>
    withDevice(document, {
      type: "rng",
      name: words.name as string ?? freeName(document, "rng"),
      ...(words.limit === undefined ? {} : { limit: limit(words.limit as number) }),
    }),
};
