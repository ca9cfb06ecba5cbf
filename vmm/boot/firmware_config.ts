/**
 * What fw_cfg hands to firmware: SeaBIOS's items and files (its docs/Runtime_config), and those of
 * QEMU that qboot and OVMF look for too.
 *
 * @module
 */
import { Address } from "../board.ts";
import type { FwCfgConfig } from "../devices/fw_cfg.ts";
import { FwCfgKey } from "../devices/fw_cfg_directory.ts";
import type { GuestMemory } from "../guest_memory.ts";
import type { AcpiBoard } from "./acpi.ts";
import { acpiLoaderFiles } from "./acpi_loader.ts";
import { ascii, type Bytes, littleEndian, sequence } from "./byte_sequence.ts";
import { E820_RAM, E820_RESERVED } from "./e820.ts";

/** What the firmware is told of its board. */
export interface FirmwareBoard {
  /** How many processors. */
  readonly cpus: number;
  /** Its memory; the regions of RAM are told. */
  readonly memory: Pick<GuestMemory, "regions" | "ramSize">;
  /** The board's ACPI description; without it the firmware makes tables of its own or none. */
  readonly acpi?: AcpiBoard;
  /** First port of a UART that SeaBIOS uses as its screen and keyboard. */
  readonly serialConsole?: number;
  /** More items: a kernel's (`firmware_kernel.ts`). */
  readonly items?: readonly { readonly key: number; readonly data: Uint8Array }[];
  /** Option ROMs by their files' names; SeaBIOS boots from these before it looks at disks. */
  readonly roms?: readonly { readonly name: string; readonly data: Uint8Array }[];
}

/**
 * `etc/system-states`: bit 7 says that the sleep state S0 to S5 is there; S5 alone is. The low bits
 * of S4 are its SLP_TYP, which nobody asks for.
 */
const SYSTEM_STATES = Uint8Array.of(0x80, 0, 0, 1, 2, 0x80);

/**
 * Builds the contents of the fw_cfg device.
 *
 * @param board What to tell
 * @returns Its configuration, in buffers that all threads share
 */
export function firmwareItems(board: FirmwareBoard): FwCfgConfig {
  const { cpus, memory, items: more = [], roms = [] } = board;
  const items = [
    { key: FwCfgKey.RAM_SIZE, data: littleEndian(memory.ramSize, 8) },
    { key: FwCfgKey.NB_CPUS, data: littleEndian(cpus, 2) },
    { key: FwCfgKey.MAX_CPUS, data: littleEndian(cpus, 2) },
    { key: FwCfgKey.BOOT_MENU, data: littleEndian(0, 2) },
    ...more,
  ];
  const files = new Map<string, Uint8Array>([
    ["etc/e820", e820(memory)],
    ["etc/boot-cpus", littleEndian(cpus, 2)],
    ["etc/system-states", SYSTEM_STATES],
  ]);
  if (board.serialConsole !== undefined) {
    files.set("etc/sercon-port", littleEndian(board.serialConsole, 8));
  }
  if (roms.length > 0) {
    const order = roms.map(({ name }) => `/rom@genroms/${name}\n`).join("");
    files.set("bootorder", sequence(ascii(order), 0));
  }
  for (const { name, data } of roms) files.set(`genroms/${name}`, data);
  for (const { name, data } of board.acpi ? acpiLoaderFiles(board.acpi) : []) files.set(name, data);
  return {
    items: items.map(({ key, data }) => ({ key, data: shared(data) })),
    files: Array.from(files, ([name, data]) => ({ name, data: shared(data) })),
  };
}

/** RAM, and the pages that KVM keeps for real mode (KVM api.rst, KVM_SET_TSS_ADDR). */
function e820({ regions }: FirmwareBoard["memory"]): Bytes {
  const entry = (base: number, size: number, type: number) =>
    sequence(littleEndian(base, 8), littleEndian(size, 8), littleEndian(type, 4));
  return sequence(
    entry(Address.IDENTITY_MAP, Address.TSS + 0x3000 - Address.IDENTITY_MAP, E820_RESERVED),
    ...regions.filter(({ ram }) => ram)
      .map(({ base, buffer }) => entry(base, buffer.byteLength, E820_RAM)),
  );
}

function shared(data: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(data.length);
  new Uint8Array(buffer).set(data);
  return buffer;
}
