/**
 * `flat`: bytes at addresses.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { imagePath } from "../image_path.ts";
import { parsePlaced } from "../placed_file.ts";
import type { Verb } from "../verb.ts";

/** What makes a word the bytes themselves; `run --flat -` has it for those on stdin. */
const DATA = "data:;base64,";
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const MODES = ["real", "protected", "long"] as const;

/** `FILE[@ADDR]`, or the bytes themselves as a URL of RFC 2397. */
function flatImage(word: string, cwd: string) {
  const { what, base } = parsePlaced(word);
  const at = base === undefined ? {} : { base };
  if (!what.startsWith(DATA)) return { path: imagePath(what, cwd), ...at };
  const data = what.slice(DATA.length);
  if (BASE64.test(data)) return { data, ...at };
  throw new UsageError("The bytes behind data:;base64, are not base64");
}

/** The row of the table. */
export const verb: Verb = {
  name: "flat",
  summary: "Boot bytes at an address: a boot sector, a test program",
  description:
    "Adds files to guest memory as they are. The CPU starts at the first one: in real mode at 0x7c00 " +
    "if nothing else is said, where a PC starts a boot sector. In place of a file the bytes " +
    "themselves may stand: data:;base64,9A==",
  group: "build",
  flags: {
    mode: { value: MODES, metavar: "MODE", help: `CPU mode: ${MODES.join(", ")} (real)` },
    entry: {
      value: "address",
      metavar: "ADDR",
      help: "First instruction (the first file's start)",
    },
  },
  arguments: [
    { name: "FILE[@ADDR]", value: "path", repeat: true, help: "Files and where they lie (0x7c00)" },
  ],
  inline: { value: "word", flags: ["mode", "entry"] },
  reads: "document",
  writes: "document",
  examples: [
    {
      line:
        "printf '\\364' > hlt; hvsh create | hvsh flat hlt@0x1000 --mode long | jq -c '.boot.flat|[.mode,.images[].base]'",
      prints: '["long",4096]\n',
    },
    {
      line:
        "printf '\\272\\370\\003\\260H\\356\\260\\n\\356\\364' > x.bin; hvsh create -m 64M | hvsh flat x.bin@0x1000 | hvsh run",
      prints: "H\n",
      needs: "kvm",
    },
  ],
  build: (document, words, cwd) => ({
    ...document,
    boot: {
      ...document.boot,
      flat: {
        ...document.boot?.flat,
        images: [
          ...document.boot?.flat?.images ?? [],
          ...(words.file as readonly string[]).map((word) => flatImage(word, cwd)),
        ],
        ...(words.mode === undefined ? {} : { mode: words.mode as typeof MODES[number] }),
        ...(words.entry === undefined ? {} : { entry: words.entry as number }),
      },
    },
  }),
};
