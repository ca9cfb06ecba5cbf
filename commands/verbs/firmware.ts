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
    "A kernel in the document, with its initial RAM disk and command line, is handed to the firmware " +
    "by fw_cfg: qboot starts it from there, SeaBIOS by QEMU's option ROM linuxboot_dma.bin. " +
    "SeaBIOS has the first serial port for its screen and keyboard.",
  group: "build",
  flags: {
    rom: {
      value: "path",
      repeat: true,
      metavar: "FILE",
      help: "An option ROM, which SeaBIOS starts before it looks at disks",
    },
  },
  arguments: [{ name: "PATH", value: "path", help: "The firmware's image" }],
  inline: { value: "word", flags: ["rom"] },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "touch bios.bin; hvsh create | hvsh firmware bios.bin | jq -r '.boot.firmware|keys[]'",
      prints: "path\n",
    },
    {
      line: "hvsh create | hvsh firmware qboot.rom | hvsh kernel bzImage | hvsh run",
      needs: "kvm",
    },
  ],
  build: (document, words, cwd) => ({
    ...document,
    boot: {
      ...document.boot,
      firmware: {
        ...document.boot?.firmware,
        path: imagePath(words.path as string, cwd),
        ...(words.rom === undefined ? {} : {
          roms: (words.rom as readonly string[]).map((path) => imagePath(path, cwd)),
        }),
      },
    },
  }),
};
