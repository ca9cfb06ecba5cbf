/**
 * A Linux kernel as fw_cfg items, for firmware that starts one from there (qboot, OVMF, SeaBIOS
 * with QEMU's linuxboot option ROM). Fields of the setup header are filled in as a loader has to
 * (Linux Documentation/arch/x86/boot.rst); the firmware copies the parts and jumps.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import { FwCfgKey } from "../devices/fw_cfg_directory.ts";
import { ascii, littleEndian, sequence } from "./byte_sequence.ts";
import { CAN_USE_HEAP, HDRS, SETUP_HEADER_OFFSET, SetupHeader } from "./setup_header.ts";

/** A kernel and what it is started with. */
export interface FirmwareKernel {
  /** A bzImage. */
  readonly image: Uint8Array;
  /** Its initial RAM disk. */
  readonly initrd?: Uint8Array;
  /** Its command line. */
  readonly cmdline: string;
  /** Where RAM below 4 GiB ends; the RAM disk goes below what firmware keeps there. */
  readonly lowRamEnd: number;
}

/** Type of loader: QEMU's, since firmware behaves to us as to it. */
const LOADER_QEMU = 0xb0;
/** Where the real-mode part goes, and its command line. */
const SETUP_ADDR = 0x1_0000;
const PAGE = 4096;
/** At the end of RAM SeaBIOS keeps its tables (its BUILD_MAX_HIGHTABLE). */
const FIRMWARE_TABLES = 0x4_0000;

/**
 * Splits a kernel into items.
 *
 * @param kernel The kernel and what it is started with
 * @returns Items for `firmwareItems`
 * @throws {ImageError} If it is no bzImage of protocol 2.03 or later, or the RAM disk has no room
 */
export function kernelItems(kernel: FirmwareKernel): { key: number; data: Uint8Array }[] {
  const { image, initrd = new Uint8Array(0), cmdline } = kernel;
  const setup = setupPart(image);
  const payload = image.subarray(setup.length);
  const header = headerOf(setup);
  const initrdAddress = placeInitrd(kernel, header.initrd_addr_max, payload.length);

  header.type_of_loader = LOADER_QEMU;
  header.loadflags |= CAN_USE_HEAP;
  // The heap ends where the command line starts, counted from 0x200 into the setup.
  header.heap_end_ptr = Address.CMDLINE - SETUP_ADDR - 0x200;
  header.cmd_line_ptr = Address.CMDLINE;
  header.ramdisk_image = initrdAddress;
  header.ramdisk_size = initrd.length;

  const text = sequence(ascii(cmdline), 0);
  const word = (key: number, value: number) => ({ key, data: littleEndian(value, 4) });
  return [
    word(FwCfgKey.SETUP_ADDR, SETUP_ADDR),
    word(FwCfgKey.SETUP_SIZE, setup.length),
    { key: FwCfgKey.SETUP_DATA, data: setup },
    word(FwCfgKey.KERNEL_ADDR, Address.HIGH),
    word(FwCfgKey.KERNEL_SIZE, payload.length),
    { key: FwCfgKey.KERNEL_DATA, data: payload },
    word(FwCfgKey.CMDLINE_ADDR, Address.CMDLINE),
    word(FwCfgKey.CMDLINE_SIZE, text.length),
    { key: FwCfgKey.CMDLINE_DATA, data: text },
    word(FwCfgKey.INITRD_ADDR, initrdAddress),
    word(FwCfgKey.INITRD_SIZE, initrd.length),
    { key: FwCfgKey.INITRD_DATA, data: initrd },
  ];
}

type Header = InstanceType<typeof SetupHeader>;

/** The header in the bytes of an image, which may be short of it. */
function headerOf(image: Uint8Array): Header {
  return new SetupHeader(
    new DataView(image.buffer, image.byteOffset, image.length),
    SETUP_HEADER_OFFSET,
  );
}

/** A copy of the real-mode part, whose length the image itself tells. */
function setupPart(image: Uint8Array): Uint8Array {
  if (image.length < 1024 || headerOf(image).header !== HDRS) {
    throw new ImageError("Kernel has no HdrS at offset 0x202: it is not a bzImage");
  }
  const { setup_sects, version } = headerOf(image);
  const length = ((setup_sects || 4) + 1) * 512; // 0 means 4
  if (length >= image.length) {
    throw new ImageError(
      `Kernel ends before its setup: setup_sects at offset 0x1f1 says ${setup_sects}, which takes ` +
        `${length} of ${image.length} bytes`,
    );
  }
  if (version < 0x203) {
    throw new ImageError(
      `Kernel speaks boot protocol ${version >> 8}.${
        version & 0xff
      } (offset 0x206), and firmware ` +
        "wants 2.3 or later",
    );
  }
  return image.slice(0, length);
}

/** As high as the kernel takes it and memory has it, on a page. */
function placeInitrd(kernel: FirmwareKernel, addressMax: number, payloadSize: number): number {
  const size = kernel.initrd?.length ?? 0;
  if (size === 0) return 0;
  const top = Math.min(kernel.lowRamEnd - FIRMWARE_TABLES, addressMax + 1);
  const address = Math.floor((top - size) / PAGE) * PAGE;
  if (address < Address.HIGH + payloadSize) {
    throw new ImageError(
      `Initrd of ${size} bytes has no room between the kernel's end and 0x${top.toString(16)}`,
      { hint: "give the VM more memory" },
    );
  }
  return address;
}
