/**
 * `firmware`: what runs from the reset vector.
 *
 * @module
 */
import { imagePath } from "../image_path.ts";
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "firmware",
  summary: "Start firmware such as SeaBIOS or qboot at the reset vector",
  description:
    "Puts a blob below 4 GiB, so that it ends there, and starts the CPU at the reset vector in it. " +
    "A kernel in the document is handed to the firmware by fw_cfg.",
  group: "build",
  flags: {},
  arguments: [{ name: "PATH", value: "path", help: "The firmware's image" }],
  inline: { value: "word" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "touch bios.bin; hvsh create | hvsh firmware bios.bin | jq -r '.boot.firmware|keys[]'",
      prints: "path\n",
    },
  ],
  build: (document, words, cwd) => ({
    ...document,
    boot: {
      ...document.boot,
      firmware: { ...document.boot?.firmware, path: imagePath(words.path as string, cwd) },
    },
  }),
};
