/**
 * What a stage was given instead of a VM document, by its first bytes.
 *
 * @module
 */

/** How many bytes settle it: the magic number of a bzImage is the last of them. */
export const SNIFF_BYTES = 0x206;

/** What it is and what to do about it. */
export interface ForeignInput {
  /** "it is …" */
  readonly what: string;
  /** The next step. */
  readonly hint?: string;
}

const MAGICS: readonly (readonly [offset: number, bytes: string, ForeignInput])[] = [
  [0, "\x28\xb5\x2f\xfd", { what: "it is compressed with zstd", hint: "zstd -d |" }],
  [0, "\x1f\x8b", { what: "it is compressed with gzip", hint: "gzip -d |" }],
  [0, "\xfd7zXZ\0", { what: "it is compressed with xz", hint: "xz -d |" }],
  [0, "BZh", { what: "it is compressed with bzip2", hint: "bzip2 -d |" }],
  [257, "ustar", { what: "it is a stream, a tar archive", hint: "tar xO vm.json |" }],
  [0, "\x7fELF", { what: "it is a guest image", hint: "hvsh create | hvsh kernel FILE" }],
  [0x202, "HdrS", { what: "it is a guest image", hint: "hvsh create | hvsh kernel FILE" }],
  [510, "\x55\xaa", { what: "it is a guest image", hint: "hvsh create | hvsh flat FILE" }],
];

/**
 * Says what some bytes are that do not start an object.
 *
 * @param bytes The first {@linkcode SNIFF_BYTES}, or all if there are fewer
 * @returns What to tell the person
 */
export function foreignInput(bytes: Uint8Array): ForeignInput {
  for (const [offset, magic, input] of MAGICS) {
    if (Array.from(magic).every((c, i) => bytes[offset + i] === c.charCodeAt(0))) return input;
  }
  const text = firstLine(bytes);
  if (text === undefined) return { what: "it is binary data of no kind known here" };
  if (text.startsWith("[")) {
    return { what: "it is a JSON array", hint: "jq -c '.[]' |" };
  }
  return { what: `it starts with "${text}"`, hint: "did the stage before fail?" };
}

/** The start of the first line, if all of it is text. */
function firstLine(bytes: Uint8Array): string | undefined {
  const end = bytes.indexOf(0x0a);
  const line = end < 0 ? bytes : bytes.subarray(0, end);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(line, { stream: end < 0 }).trim();
    if (/[\p{Cc}\p{Co}\p{Cn}]/u.test(text.replaceAll("\t", " "))) return undefined;
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
  } catch {
    return undefined;
  }
}
