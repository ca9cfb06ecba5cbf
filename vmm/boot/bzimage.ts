/**
 * bzImage and zImage kernels, and what else carries their setup header (memtest86+, iPXE): parsing
 * by the boot protocol (Documentation/arch/x86/boot.rst).
 *
 * @module
 */
import type { Struct } from "../../ffi/struct.ts";
import { Address } from "../board.ts";
import { fieldError, hex, type Image, imagePart } from "./image.ts";
import {
  BOOT_FLAG,
  clearLaterFields,
  HDRS,
  LOADED_HIGH,
  SETUP_HEADER_OFFSET,
  type SetupField,
  SetupHeader,
  XLF_KERNEL_64,
} from "./setup_header.ts";

const SECTOR = 512;
/** What `setup_sects` of 0 stands for, "for backwards compatibility". */
const DEFAULT_SETUP_SECTS = 4;

/** A parsed bzImage. */
export interface BzImage {
  /** A copy of the header, in which fields newer than its version are zero. */
  readonly header: Struct<typeof SetupHeader>;
  /** Boot sector and setup code, to be run in real mode. */
  readonly setup: Uint8Array;
  /** What follows: the kernel proper, usually with its own decompressor. */
  readonly code: Uint8Array;
  /** The compressed kernel inside `code`, where the header says that there is one. */
  readonly payload: Uint8Array | undefined;
  /** The widest entry point that it has. */
  readonly entry: "long" | "protected" | "real";
  /** Where `code` wants to lie. */
  readonly loadAddress: number;
  /** Bytes that must be RAM from `loadAddress` on. */
  readonly loadSize: number;
}

/**
 * The byte offset of a header field in the file.
 *
 * @param field Its name
 * @returns Its offset
 */
export function setupFieldOffset(field: SetupField): number {
  return SETUP_HEADER_OFFSET + SetupHeader.offsets[field];
}

/**
 * Parses a bzImage.
 *
 * @param image The file
 * @returns Its parts; every one lies inside the file
 * @throws {ImageError} If it is no bzImage or a field contradicts the file
 */
export function parseBzImage(image: Image): BzImage {
  const file = image.bytes;
  // Two sectors at least: the boot sector, and one with the header's second half.
  imagePart(image, 0, 2 * SECTOR, "setup_sects", setupFieldOffset("setup_sects"));
  const header = new SetupHeader();
  header.bytes().set(
    file.subarray(SETUP_HEADER_OFFSET, SETUP_HEADER_OFFSET + SetupHeader.size),
  );
  if (header.boot_flag !== BOOT_FLAG || header.header !== HDRS) {
    throw fieldError(image, "header", setupFieldOffset("header"), 'is not "HdrS"');
  }
  if (header.version < 0x200) {
    throw fieldError(
      image,
      "version",
      setupFieldOffset("version"),
      `is ${hex(header.version)}, before 2.00, the first with this header`,
    );
  }
  clearLaterFields(header);

  const setupSize = ((header.setup_sects || DEFAULT_SETUP_SECTS) + 1) * SECTOR;
  const setup = imagePart(image, 0, setupSize, "setup_sects", setupFieldOffset("setup_sects"));
  const code = file.subarray(setupSize);
  // syssize counts paragraphs of 16 bytes, the last of which the file may not fill; it is not to be
  // trusted before 2.04.
  if (header.version >= 0x204 && header.syssize * 16 >= code.length + 16) {
    throw fieldError(
      image,
      "syssize",
      setupFieldOffset("syssize"),
      `says that ${header.syssize * 16} bytes follow the setup code, the file has ${code.length}`,
      "the file is cut off",
    );
  }
  const loadedHigh = (header.loadflags & LOADED_HIGH) !== 0;
  const entry = chooseEntry(header, loadedHigh);
  return {
    header,
    setup,
    code,
    payload: findPayload(image, header, setupSize),
    entry,
    loadAddress: header.version >= 0x20a && entry !== "real"
      ? header.pref_address
      : header.code32_start,
    loadSize: Math.max(header.init_size, code.length),
  };
}

/**
 * memtest86+ and every Linux since 2.6.2x run from their 32-bit entry point, which boot.rst puts at
 * code32_start. iPXE sets that to 0: only its real-mode code knows how to go on.
 */
function chooseEntry(
  header: Struct<typeof SetupHeader>,
  loadedHigh: boolean,
): BzImage["entry"] {
  if (!loadedHigh || header.code32_start < Address.HIGH) return "real";
  return (header.xloadflags & XLF_KERNEL_64) !== 0 ? "long" : "protected";
}

function findPayload(
  image: Image,
  header: Struct<typeof SetupHeader>,
  setupSize: number,
): Uint8Array | undefined {
  const { payload_offset, payload_length } = header;
  if (payload_length === 0) return undefined;
  return imagePart(
    image,
    setupSize + payload_offset,
    payload_length,
    "payload_length",
    setupFieldOffset("payload_length"),
  );
}
