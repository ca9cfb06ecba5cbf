/**
 * `initrd`: the kernel's first RAM disk.
 *
 * @module
 */
import { imagePath } from "../image_path.ts";
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "initrd",
  summary: "Give the kernel an initial RAM disk",
  description:
    "Adds files that the kernel finds as its initial RAM disk, one behind the other: Linux unpacks " +
    "concatenated cpio archives, the later over the earlier.",
  group: "build",
  flags: {},
  arguments: [{
    name: "PATH",
    value: "path",
    repeat: true,
    help: "cpio archives, compressed or not",
  }],
  inline: { value: "word" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line:
        "touch a.cpio b.cpio; hvsh create | hvsh initrd a.cpio | hvsh initrd b.cpio | jq '.boot.initrd|length'",
      prints: "2\n",
    },
  ],
  build: (document, words, cwd) => ({
    ...document,
    boot: {
      ...document.boot,
      initrd: [
        ...document.boot?.initrd ?? [],
        ...(words.path as readonly string[]).map((path) => imagePath(path, cwd)),
      ],
    },
  }),
};
