/**
 * `cmdline`: the kernel's command line.
 *
 * @module
 */
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "cmdline",
  summary: "Add to the kernel's command line",
  description: "Adds words, as they are, to the command line that the kernel is given.",
  group: "build",
  flags: { set: { help: "Take these words in place of what is there" } },
  arguments: [{ name: "WORDS", value: "text", repeat: true, help: "Words of the command line" }],
  inline: { value: "word" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line:
        "hvsh create | hvsh cmdline console=ttyS0 quiet | hvsh cmdline panic=-1 | jq -r .boot.cmdline",
      prints: "console=ttyS0 quiet panic=-1\n",
    },
  ],
  build: (document, words) => {
    const before = words.set === true ? undefined : document.boot?.cmdline;
    const added = words.words as readonly string[];
    return {
      ...document,
      boot: {
        ...document.boot,
        cmdline: [...(before ? [before] : []), ...added].join(" "),
      },
    };
  },
};
