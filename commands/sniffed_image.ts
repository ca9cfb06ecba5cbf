/**
 * How an image boots, by its first bytes: what `hvsh run FILE` has to find out.
 *
 * @module
 */
import { ImageError } from "../ffi/errors.ts";
import { detectImage, type ImageKind } from "../vmm/boot/image.ts";
import { imagePath, refusal } from "./image_path.ts";

/** A multiboot header lies within the first 8 KiB, everything else that tells earlier. */
const HEAD_BYTES = 32768;

const FLAGS: Partial<Record<ImageKind, string>> = {
  bzimage: "kernel",
  elf32: "kernel",
  elf64: "kernel",
  multiboot: "multiboot",
  bootsector: "flat",
};

const HINTS: Partial<Record<ImageKind, string>> = {
  document: "hvsh run <",
  tar: "tar xO vm.json |",
  zstd: "zstd -d",
  gzip: "gzip -d",
  xz: "xz -d",
};

const NAMES: Partial<Record<ImageKind, string>> = {
  document: "a VM document",
  tar: "a tar archive",
  zstd: "compressed with zstd",
  gzip: "compressed with gzip",
  xz: "compressed with xz",
};

/**
 * Finds the flag that boots an image.
 *
 * @param path The path as the person wrote it
 * @param cwd The folder that relative paths start from
 * @returns `kernel`, `multiboot` or `flat`
 * @throws {ImageError} If nothing boots it
 */
export function sniffedFlag(path: string, cwd: string): string {
  const kind = detectImage(head(imagePath(path, cwd), path));
  const flag = FLAGS[kind];
  if (flag !== undefined) return flag;
  throw new ImageError(
    `${path} is ${NAMES[kind] ?? "no kernel and no boot sector"}`,
    { hint: HINTS[kind] ?? `--flat ${path}@0x7c00 --mode real` },
  );
}

function head(absolute: string, path: string): Uint8Array {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(absolute);
  } catch (error) {
    throw new ImageError(`${path}: ${refusal(error)}`, { cause: error });
  }
  using _ = file;
  const bytes = new Uint8Array(HEAD_BYTES);
  let length = 0;
  for (;;) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null || count === 0) return bytes.subarray(0, length);
    length += count;
  }
}
