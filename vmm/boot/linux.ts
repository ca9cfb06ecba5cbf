/**
 * Starting Linux, and other kernels that follow its boot protocol
 * (Documentation/arch/x86/boot.rst).
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import type { Struct } from "../../ffi/struct.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { writeBootParams } from "./boot_params.ts";
import { type BzImage, parseBzImage, setupFieldOffset } from "./bzimage.ts";
import { decompress, detectCompression } from "./decompress.ts";
import { type Elf, loadElf, type LoadOptions, parseElf, physicalEntry } from "./elf.ts";
import { isLinux, pvhEntry } from "./elf_notes.ts";
import { fieldError, hex, type Image, viewOf } from "./image.ts";
import { loadRealMode } from "./linux16.ts";
import { writeGdt, writePageTables } from "./page_tables.ts";
import { Low, memoryError, placeCmdline, placeInitrd, ramEnd, requireRam } from "./placement.ts";
import { loadPvh } from "./pvh.ts";
import { BOOT_FLAG, HDRS, LOADED_HIGH, LOADER_UNDEFINED, SetupHeader } from "./setup_header.ts";

/** How to start a kernel. */
export interface LinuxOptions extends LoadOptions {
  /** The initial RAM disk. */
  readonly initrd?: Image;
  /** The command line. */
  readonly cmdline?: string;
  /** `false` leaves the unpacking of a bzImage to its own code. */
  readonly unpack?: boolean;
  /**
   * `linux` is Linux's own entry point, `pvh` the one that the ELF's Xen note names. Left out, an
   * ELF that has the note and isn't Linux is started by it.
   */
  readonly entry?: "linux" | "pvh";
  /** Guest-physical address of the ACPI RSDP. */
  readonly acpiRsdp?: number;
}

/** More than any kernel unpacks to. */
const MOST_UNPACKED = 1 << 30;
/** COMMAND_LINE_SIZE - 1 of x86, for an ELF, which doesn't say. */
const ELF_CMDLINE_SIZE = 2047;
/** What boot.rst gives for kernels that don't say: before 2.03, and before 2.06. */
const OLD_INITRD_ADDR_MAX = 0x37ff_ffff;
const OLD_CMDLINE_SIZE = 255;
/** The 64-bit entry point of a bzImage's code. */
const ENTRY_64 = 0x200;

/**
 * Puts a kernel into memory: a bzImage, or the ELF that is inside one.
 *
 * @param memory The guest's memory
 * @param image The kernel
 * @param options RAM disk, command line, and how to start
 * @returns The state in which the first vCPU begins
 * @throws {ImageError} If the kernel is damaged or doesn't fit, or if it can't be started as asked
 */
export async function loadLinux(
  memory: GuestMemory,
  image: Image,
  options: LinuxOptions = {},
): Promise<StartState> {
  if (image.bytes[0] === 0x7f && image.bytes[1] === 0x45) {
    return startElf(memory, image, options);
  }
  const kernel = parseBzImage(image);
  const compression = kernel.payload && detectCompression(kernel.payload);
  if (options.unpack !== false && compression !== undefined && compression !== "lzo") {
    const inner = {
      path: `${image.path} (unpacked)`,
      bytes: await unpack(memory, image, kernel, compression === "gzip"),
    };
    return startElf(memory, inner, options, kernel.header);
  }
  if (options.entry === "pvh") {
    throw new ImageError(`${image.path}: PVH needs the ELF inside, which is not unpacked here`, {
      hint: "leave out --unpack=no, or give the ELF vmlinux",
    });
  }
  if (kernel.entry === "real") return loadRealMode(memory, image, kernel, options);
  return startCode(memory, image, kernel, kernel.entry, options);
}

async function unpack(
  memory: GuestMemory,
  image: Image,
  { payload, header }: BzImage,
  sizeInside: boolean,
): Promise<Uint8Array> {
  const bytes = payload!;
  if (bytes.length < 8) {
    throw fieldError(
      image,
      "payload_length",
      setupFieldOffset("payload_length"),
      `is ${bytes.length}, too short for a kernel`,
    );
  }
  // Linux's build puts the unpacked size behind the payload (scripts/Makefile.lib, size_append),
  // but for gzip, where the format itself ends with it.
  const size = viewOf(bytes).getUint32(bytes.length - 4, true);
  const where = `${image.path}: payload at byte ${hex(bytes.byteOffset - image.bytes.byteOffset)}`;
  const top = ramEnd(memory, Address.HIGH);
  if (size > top && size <= MOST_UNPACKED) {
    throw memoryError(memory, image, "the unpacked kernel", size + header.pref_address);
  }
  return await decompress(sizeInside ? bytes : bytes.subarray(0, -4), {
    limit: Math.min(top, MOST_UNPACKED),
    where,
    size,
  });
}

function startElf(
  memory: GuestMemory,
  image: Image,
  options: LinuxOptions,
  header?: Struct<typeof SetupHeader>,
): StartState {
  const elf = parseElf(image);
  const pvh = pvhEntry(elf.notes);
  if (options.entry === "pvh" && pvh === undefined) {
    throw new ImageError(`${image.path}: has no PVH entry point (no XEN_ELFNOTE_PHYS32_ENTRY)`, {
      hint: "Linux has one with CONFIG_PVH=y",
    });
  }
  const wantsPvh = options.entry === "pvh" ||
    (options.entry === undefined && header === undefined && !isLinux(elf.notes));
  if (pvh !== undefined && wantsPvh) return loadPvh(memory, image, elf, pvh, options);
  return startVmlinux(memory, image, elf, header ?? elfHeader(), options);
}

/** The setup header of a kernel that comes without: what an ELF's loader has to fill in itself. */
function elfHeader(): Struct<typeof SetupHeader> {
  const header = new SetupHeader();
  header.boot_flag = BOOT_FLAG;
  header.header = HDRS;
  header.version = 0x20c;
  header.loadflags = LOADED_HIGH;
  header.initrd_addr_max = 0x7fff_ffff;
  header.cmdline_size = ELF_CMDLINE_SIZE;
  return header;
}

/** Starts vmlinux at startup_64 or startup_32, past its decompressor. */
function startVmlinux(
  memory: GuestMemory,
  image: Image,
  elf: Elf,
  header: Struct<typeof SetupHeader>,
  options: LinuxOptions,
): StartState {
  const ip = physicalEntry(image, elf, "physical");
  const { start, end } = loadElf(memory, image, elf, options);
  header.code32_start = start % 0x1_0000_0000;
  return enter(memory, image, header, {
    mode: elf.bits === 64 ? "long" : "protected",
    ip,
    kernelEnd: end,
  }, options);
}

/** Starts a bzImage's own code, which unpacks and moves itself. */
function startCode(
  memory: GuestMemory,
  image: Image,
  kernel: BzImage,
  mode: "long" | "protected",
  options: LinuxOptions,
): StartState {
  const { header, code, loadAddress, loadSize } = kernel;
  const field = header.version >= 0x20a ? "pref_address" : "code32_start";
  requireRam(
    memory,
    image,
    loadAddress,
    loadSize,
    `${field} (byte ${hex(setupFieldOffset(field))})`,
  );
  memory.write(loadAddress, code);
  header.code32_start = loadAddress;
  return enter(memory, image, header, {
    mode,
    ip: mode === "long" ? loadAddress + ENTRY_64 : loadAddress,
    kernelEnd: loadAddress + loadSize,
  }, options);
}

/** Fills in boot_params and what it points to, and gives the state in which both entries begin. */
function enter(
  memory: GuestMemory,
  image: Image,
  header: Struct<typeof SetupHeader>,
  kernel: { mode: "long" | "protected"; ip: number; kernelEnd: number },
  { initrd, cmdline = "", acpiRsdp }: LinuxOptions,
): StartState {
  header.type_of_loader = LOADER_UNDEFINED;
  header.cmd_line_ptr = placeCmdline(
    memory,
    image,
    cmdline,
    header.version >= 0x206 ? header.cmdline_size : OLD_CMDLINE_SIZE,
  );
  if (initrd !== undefined && initrd.bytes.length > 0) {
    header.ramdisk_image = placeInitrd(
      memory,
      initrd,
      kernel.kernelEnd,
      header.version >= 0x203 ? header.initrd_addr_max : OLD_INITRD_ADDR_MAX,
    );
    header.ramdisk_size = initrd.bytes.length;
  }
  const bootParams = writeBootParams(memory, image, {
    header,
    ...(acpiRsdp === undefined ? {} : { acpiRsdp }),
  });
  const { mode, ip } = kernel;
  const gdt = writeGdt(memory, Low.GDT, mode === "long" ? 64 : 32);
  const registers = { rsi: bootParams };
  if (mode === "protected") return { mode, ip, gdt, registers };
  writePageTables(memory, Low.PAGE_TABLES);
  return { mode, ip, gdt, pageTables: Low.PAGE_TABLES, registers };
}
