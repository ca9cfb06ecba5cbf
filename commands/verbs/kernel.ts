/**
 * `kernel`: which kernel boots.
 *
 * @module
 */
import { imagePath } from "../image_path.ts";
import type { Verb } from "../verb.ts";

const ENTRIES = ["linux", "pvh"] as const;

/** The row of the table. */
export const verb: Verb = {
  name: "kernel",
  summary: "Boot a Linux kernel: bzImage, ELF vmlinux or PVH",
  description:
    "Has the VM boot a kernel. A compressed bzImage is unpacked on the host and started at its 64-bit " +
    "entry, which saves the guest that work.",
  group: "build",
  flags: {
    unpack: { value: ["yes", "no"], metavar: "yes|no", help: "Unpack it on the host (yes)" },
    entry: { value: ENTRIES, metavar: "WHICH", help: "Entry point: linux or pvh (by the image)" },
  },
  arguments: [{ name: "PATH", value: "path", help: "The kernel's image" }],
  inline: { value: "word", flags: ["unpack", "entry"] },
  reads: "document",
  writes: "document",
  examples: [
    {
      line:
        "touch bzImage; hvsh create | hvsh kernel bzImage --entry pvh | jq -r .boot.kernel.entry",
      prints: "pvh\n",
    },
    { line: "hvsh create -m 512M | hvsh kernel bzImage | hvsh run", needs: "kvm" },
  ],
  build: (document, words, cwd) => ({
    ...document,
    boot: {
      ...document.boot,
      kernel: {
        ...document.boot?.kernel,
        path: imagePath(words.path as string, cwd),
        ...(words.unpack === undefined ? {} : { unpack: words.unpack === "yes" }),
        ...(words.entry === undefined ? {} : { entry: words.entry as typeof ENTRIES[number] }),
      },
    },
  }),
};
