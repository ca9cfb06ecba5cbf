/**
 * `multiboot`: a kernel that a multiboot loader starts.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { imagePath } from "../image_path.ts";
import { quotedWord } from "../quoted_words.ts";
import type { Verb } from "../verb.ts";

/** Parts `FILE ARGS`, as GRUB's `module` line is written; the arguments are the module's own to part. */
function parseModule(text: string, cwd: string) {
  const { word: path = "", end = 0 } = quotedWord(text) ?? {};
  if (path === "") throw new UsageError("--module names no file");
  const cmdline = text.slice(end).trim();
  return { path: imagePath(path, cwd), ...(cmdline === "" ? {} : { cmdline }) };
}

/** The row of the table. */
export const verb: Verb = {
  name: "multiboot",
  summary: "Boot a multiboot 1 kernel with its modules",
  description: "Has the VM boot a kernel in the way of the Multiboot Specification 0.6.96, in " +
    "32-bit protected mode. `hvsh cmdline` gives its command line.",
  group: "build",
  flags: {
    module: {
      value: "text",
      metavar: "'FILE ARGS…'",
      repeat: true,
      help: "A module and its command line",
    },
  },
  arguments: [{ name: "PATH", value: "path", help: "The kernel's image" }],
  inline: { value: "word", flags: ["module"] },
  reads: "document",
  writes: "document",
  examples: [
    {
      line:
        "touch gnumach ext2fs; hvsh create | hvsh multiboot gnumach --module 'ext2fs --readonly' |" +
        " jq -r .boot.multiboot.modules[].cmdline",
      prints: "--readonly\n",
    },
  ],
  build: (document, words, cwd) => {
    const before = document.boot?.multiboot;
    const added = (words.module as readonly string[] ?? []).map((text) => parseModule(text, cwd));
    return {
      ...document,
      boot: {
        ...document.boot,
        multiboot: {
          ...before,
          path: imagePath(words.path as string, cwd),
          ...(added.length === 0 ? {} : { modules: [...before?.modules ?? [], ...added] }),
        },
      },
    };
  },
};
