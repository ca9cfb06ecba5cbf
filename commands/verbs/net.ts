/**
 * `net`: a network card.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { parseCidr, parseMac } from "../../vmm/backends/net/addresses.ts";
import { parseForward } from "../../vmm/backends/net/forward.ts";
import { absolutePath } from "../image_path.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb, Words } from "../verb.ts";

const SOCKET = "unix:";
const USER = ["user", "passt", "slirp"];
const INTERFACE = /^[^\s/]{1,15}$/;
const MTU = { least: 68, most: 65521 };
const MOST_QUEUES = 16;

/** The words of a card, as its entry has them. */
function entryOf(words: Words, cwd: string): Record<string, unknown> {
  const backend = backendOf(words.backend as string, cwd);
  const tap = backend === "tap";
  requireFor(tap, "a tap", { NAME: words.name_of_tap, ...tapFlags(words) });
  requireFor(USER.includes(backend), "a user network", { "--forward": words.forward });
  return {
    backend,
    ...interfaceOf(words.interface as string | undefined),
  };
}
