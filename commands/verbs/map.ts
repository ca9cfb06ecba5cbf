/**
 * `map`: RAM, ROM and files at addresses.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { MemoryEntry } from "../../vmm/document.ts";
import { parseSize } from "../../vmm/size.ts";
import { memorySize } from "../amounts.ts";
import { imagePath } from "../image_path.ts";
import { parsePlaced } from "../placed_file.ts";
import type { Verb, Words } from "../verb.ts";

const TYPES = ["ram", "rom", "file", "shared"] as const;

function ram(what: string, base: number | undefined, words: Words): MemoryEntry {
  if (words.size !== undefined || words.offset !== undefined) {
    throw new UsageError("RAM has its size in front of the @, and no offset", {
      hint: "hvsh map ram 16M@0x80000000",
    });
  }
  try {
    return {
      type: "ram",
      ...(base === undefined ? {} : { base }),
      size: memorySize(parseSize(what)),
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(error.message, { hint: "hvsh map ram 16M@0x80000000", cause: error });
  }
}

function backed(
  type: "rom" | "file" | "shared",
  what: string,
  base: number | undefined,
  words: Words,
  cwd: string,
): MemoryEntry {
  if (base === undefined) {
    throw new UsageError(`Where in guest memory does ${what} lie?`, {
      hint: `hvsh map ${type} ${what}@0x40000000`,
    });
  }
  return {
    type,
    base,
    path: imagePath(what, cwd),
    ...(words.size === undefined ? {} : { size: words.size as number }),
    ...(words.offset === undefined ? {} : { offset: words.offset as number }),
  };
}

/** The row of the table. */
export const verb: Verb = {
  name: "map",
  summary: "Put RAM, ROM or a file at a guest address",
  description:
    "Adds a region of guest memory: more RAM, a file that the guest cannot write (rom), a private " +
    "copy of a file (file), or a file that the guest's writes reach (shared). RAM without an address " +
    "lies behind the RAM before it.",
  group: "build",
  flags: {
    size: { value: "size", metavar: "SIZE", help: "How much of the file (all)" },
    offset: { value: "address", metavar: "BYTES", help: "Where in the file the region starts (0)" },
  },
  arguments: [
    { name: "TYPE", value: TYPES, help: TYPES.join(", ") },
    { name: "WHAT[@ADDR]", value: "path", help: "A size for ram, else a file" },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh map ram 16M@0x80000000 | jq -c .memory[1]",
      prints: '{"type":"ram","base":2147483648,"size":16777216}\n',
    },
    {
      line: "touch bios.bin; hvsh create | hvsh map rom bios.bin@0xf0000 | jq .memory[1].base",
      prints: "983040\n",
    },
  ],
  build: (document, words, cwd) => {
    const { what, base } = parsePlaced(words.what as string);
    const type = words.type as typeof TYPES[number];
    const entry = type === "ram" ? ram(what, base, words) : backed(type, what, base, words, cwd);
    return { ...document, memory: [...document.memory ?? [], entry] };
  },
};
