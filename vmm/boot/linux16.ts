/**
 * Starting a kernel by its own real-mode setup code (Documentation/arch/x86/boot.rst, "Loading The
 * Rest of The Kernel" to "Running the Kernel"): for zImages, and for images such as iPXE's that
 * have no other entry point. That code expects a BIOS, of which {@linkcode installBios} gives the
 * calls that it can't do without.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { installBios } from "./bios.ts";
import { type BzImage, setupFieldOffset } from "./bzimage.ts";
import { fieldError, type Image } from "./image.ts";
import { memoryError, placeCmdline, placeInitrd, ramEnd } from "./placement.ts";
import {
  CAN_USE_HEAP,
  LOADED_HIGH,
  LOADER_UNDEFINED,
  SETUP_HEADER_OFFSET,
  SetupHeader,
} from "./setup_header.ts";

/** Real-mode code's place: the old one, and where newer kernels may go to leave more room. */
const OLD_BASE = 0x9_0000;
const BASE = 0x1_0000;
/** Stack and heap end here, from the base on. */
const OLD_HEAP_END = 0x9800;
const HEAP_END = 0xe000;
/** A zImage's protected-mode code. */
const LOW_CODE = 0x1_0000;
/** Before 2.02 the command line is told by a magic number and an offset in the boot sector. */
const CL_MAGIC = { at: 0x20, value: 0xa33f };
const CL_OFFSET_AT = 0x22;
/** From the start of the setup code to the heap's end, which heap_end_ptr counts from. */
const HEAP_END_BIAS = 0x200;
/** The setup code's segment, from the base's on: past the boot sector. */
const SETUP_CODE = 0x20;
const OLD_CMDLINE_SIZE = 255;
const OLD_INITRD_ADDR_MAX = 0x37ff_ffff;

/** What the kernel is handed. */
export interface RealModeOptions {
  /** The initial RAM disk. */
  readonly initrd?: Image;
  /** The command line. */
  readonly cmdline?: string;
}

/**
 * Puts a kernel's setup code and the rest of it into memory.
 *
 * @param memory The guest's memory
 * @param image The kernel
 * @param kernel What `parseBzImage` gave for it
 * @param options RAM disk and command line
 * @returns The state in which the first vCPU begins: in the BIOS, which goes on to the setup code
 * @throws {ImageError} If the kernel doesn't fit
 */
export function loadRealMode(
  memory: GuestMemory,
  image: Image,
  kernel: BzImage,
  options: RealModeOptions = {},
): StartState {
  const { setup, code, header } = kernel;
  const { version } = header;
  const high = (header.loadflags & LOADED_HIGH) !== 0;
  const modern = version >= 0x202 && high;
  const base = modern ? BASE : OLD_BASE;
  const heapEnd = modern ? HEAP_END : OLD_HEAP_END;
  if (setup.length >= heapEnd) {
    throw fieldError(
      image,
      "setup_sects",
      setupFieldOffset("setup_sects"),
      `is ${header.setup_sects}, which leaves no room for a stack`,
    );
  }
  const codeAt = high ? Address.HIGH : LOW_CODE;
  if (!high && code.length > OLD_BASE - LOW_CODE) {
    throw new ImageError(
      `${image.path}: ${code.length} bytes of code are too many for a zImage (loadflags, byte ${
        setupFieldOffset("loadflags")
      })`,
    );
  }
  const codeEnd = codeAt + code.length;
  if (ramEnd(memory, codeAt) < codeEnd) throw memoryError(memory, image, "the kernel", codeEnd);
  if (ramEnd(memory, base) < Address.EBDA) {
    throw memoryError(memory, image, "the real-mode code", Address.HIGH);
  }

  header.type_of_loader = LOADER_UNDEFINED;
  if (version >= 0x201) {
    header.heap_end_ptr = heapEnd - HEAP_END_BIAS;
    header.loadflags |= CAN_USE_HEAP;
  }
  const { initrd, cmdline = "" } = options;
  if (initrd !== undefined && initrd.bytes.length > 0) {
    const highest = version >= 0x203 ? header.initrd_addr_max : OLD_INITRD_ADDR_MAX;
    header.ramdisk_image = placeInitrd(
      memory,
      initrd,
      Math.max(codeEnd, Address.HIGH),
      highest,
    );
    header.ramdisk_size = initrd.bytes.length;
  }
  memory.write(codeAt, code);
  memory.write(base, setup);
  if (version >= 0x202) {
    const most = version >= 0x206 ? header.cmdline_size : OLD_CMDLINE_SIZE;
    header.cmd_line_ptr = placeCmdline(memory, image, cmdline, most);
  } else {
    const text = new TextEncoder().encode(`${cmdline}\0`);
    if (text.length > OLD_CMDLINE_SIZE + 1) {
      throw new ImageError(
        `${image.path}: the command line has ${
          text.length - 1
        } bytes, this kernel takes ${OLD_CMDLINE_SIZE}`,
      );
    }
    header.setup_move_size = heapEnd + text.length;
    memory.write(base + heapEnd, text);
    const view = memory.view(base, SETUP_HEADER_OFFSET);
    view.setUint16(CL_MAGIC.at, CL_MAGIC.value, true);
    view.setUint16(CL_OFFSET_AT, heapEnd, true);
  }
  writeHeader(memory, base, kernel);
  const segment = base >> 4;
  const { cs, ip } = installBios(memory, image, segment + SETUP_CODE);
  return { mode: "real", cs, ip, ds: segment, registers: { rsp: heapEnd } };
}

/**
 * Writes the filled-in fields into the copy in memory, and only those: after the fields of an old
 * version the image has code or text of its own.
 */
function writeHeader(memory: GuestMemory, base: number, { header }: BzImage): void {
  const copy = new SetupHeader(memory.view(base + SETUP_HEADER_OFFSET, SetupHeader.size));
  copy.type_of_loader = header.type_of_loader;
  copy.loadflags = header.loadflags;
  copy.setup_move_size = header.setup_move_size;
  copy.ramdisk_image = header.ramdisk_image;
  copy.ramdisk_size = header.ramdisk_size;
  if (header.version >= 0x201) copy.heap_end_ptr = header.heap_end_ptr;
  if (header.version >= 0x202) copy.cmd_line_ptr = header.cmd_line_ptr;
}
