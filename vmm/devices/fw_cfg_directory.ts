/**
 * fw_cfg's item numbers and its file directory (QEMU docs/specs/fw_cfg.rst, "File Directory").
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { bytes, struct, u16, u16be, u32be } from "../../ffi/struct.ts";

/** Item numbers, as QEMU's `standard-headers/linux/qemu_fw_cfg.h` and `fw_cfg_keys.h` name them. */
export const FwCfgKey = {
  SIGNATURE: 0x00,
  ID: 0x01,
  RAM_SIZE: 0x03,
  NB_CPUS: 0x05,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  BOOT_MENU: 0x0e,
  MAX_CPUS: 0x0f,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  SETUP_ADDR: 0x16,
  SETUP_SIZE: 0x17,
  SETUP_DATA: 0x18,
  FILE_DIR: 0x19,
  FILE_FIRST: 0x20,
} as const;

/** Files have the numbers from 0x20 to 0x3fff. */
const MOST_FILES = 0x4000 - FwCfgKey.FILE_FIRST;

/** `struct FWCfgFile`: big-endian numbers and a name that ends in NUL. */
const FwCfgFile = struct("FWCfgFile", {
  size: u32be,
  select: u16be,
  reserved: u16,
  name: bytes(56),
}, { packed: true });

/**
 * The directory of the files, item 0x19.
 *
 * @param files Their names and contents, in the order of their item numbers
 * @returns The directory's bytes
 * @throws {DocumentError} If a name is empty, too long, not ASCII or there twice, or files are too many
 */
export function fileDirectory(
  files: readonly { readonly name: string; readonly data: SharedArrayBuffer }[],
): Uint8Array<ArrayBuffer> {
  if (files.length > MOST_FILES) {
    throw new DocumentError(`fw_cfg has room for ${MOST_FILES} files, not ${files.length}`);
  }
  const names = new Set<string>();
  const view = new DataView(new ArrayBuffer(4 + files.length * FwCfgFile.size));
  view.setUint32(0, files.length);
  files.forEach(({ name, data }, i) => {
    if (!/^[\x21-\x7e]{1,55}$/.test(name)) {
      throw new DocumentError(
        `fw_cfg file name ${JSON.stringify(name)} is not 1 to 55 ASCII letters`,
      );
    }
    if (names.has(name)) throw new DocumentError(`fw_cfg file ${name} is there twice`);
    names.add(name);
    const entry = new FwCfgFile(view, 4 + i * FwCfgFile.size);
    entry.size = data.byteLength;
    entry.select = FwCfgKey.FILE_FIRST + i;
    entry.name.set(new TextEncoder().encode(name));
  });
  return new Uint8Array(view.buffer);
}
