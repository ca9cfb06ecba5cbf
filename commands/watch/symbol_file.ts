/**
 * Symbols that a person has in a file: an ELF with a symbol table, or lines as nm and System.map have
 * them.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { detectImage } from "../../vmm/boot/image.ts";
import { readImage } from "../../vmm/boot/read_image.ts";
import { elfSymbols } from "../../vmm/debug/elf_symbols.ts";
import { type Symbol, Symbols } from "../../vmm/debug/symbols.ts";
import { refusal } from "../image_path.ts";

/** `ffffffff81000000 T _text`, and with a size as `nm -S` writes it. */
const NM_LINE = /^([0-9a-f]{1,16})(?: ([0-9a-f]{1,16}))? [A-Za-z?] (\S+)(?:\s+\[(\S+)\])?$/;

/**
 * Reads a file of symbols.
 *
 * @param path The file
 * @returns Its symbols
 * @throws {UsageError} If it cannot be read or has none
 */
export async function symbolFile(path: string): Promise<Symbols> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new UsageError(`${path}: ${refusal(error)}`, { cause: error });
  }
  const kind = detectImage(bytes);
  const found = kind === "elf32" || kind === "elf64"
    ? elfSymbols(await readImage(path))
    : nmSymbols(new TextDecoder().decode(bytes));
  if (found.length > 0) return new Symbols(found);
  throw new UsageError(`${path} has no symbols`, {
    hint: "an ELF that is not stripped, or what nm prints",
  });
}

/**
 * Reads what nm prints.
 *
 * @param text Lines; those that are no symbol are left out
 * @returns The symbols, in the order of the lines
 */
export function nmSymbols(text: string): Symbol[] {
  return text.split("\n").flatMap((line) => {
    const match = NM_LINE.exec(line.trim());
    if (match === null) return [];
    const [, address, size, name, module] = match;
    return [{
      name: name!,
      address: BigInt(`0x${address}`),
      size: size === undefined ? 0 : Number(`0x${size}`),
      ...(module === undefined ? {} : { module }),
    }];
  });
}
