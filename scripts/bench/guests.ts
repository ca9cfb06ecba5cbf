/**
 * The guests that benches run, as bytes. Each is code for real mode that runs at any address, so
 * that every VMM can be given the very same: below 64 KiB where hvsh and c_vmm.c put it, at
 * 1000:0000 in kvmtool, as firmware in QEMU.
 *
 * @module
 */

/** Serial data register of the first port. */
export const SERIAL_PORT = 0x3f8;
/** The port of mark_device.ts and c_vmm.c. */
export const MARK_PORT = 0x5e0;
/** What is written to mark a begin and an end: no text holds them. */
export const Mark = { BEGIN: 2, END: 3 } as const;

/** A port that is nobody's on a PC, hvsh's own or QEMU's. */
const UNCLAIMED_PORT = 0x5f0;
/** An address that is nobody's: above RAM, below the interrupt controllers. */
const UNCLAIMED_ADDRESS = 0xd000_0000;

/** Where a guest is put, as it sees that itself, and how it is timed. */
export interface Placement {
  /** Offset of its first byte in CS. */
  readonly offset: number;
  /** Guest-physical address of its first byte. */
  readonly address: number;
  /** Where it writes its marks; VMMs of others have no mark port, so their output is timed. */
  readonly markPort: number;
}

/** Where hvsh and c_vmm.c put a guest. */
export const AT_BOOT_SECTOR: Placement = {
  offset: 0x7c00,
  address: 0x7c00,
  markPort: MARK_PORT,
};
/** Where kvmtool puts a flat image. */
export const IN_KVMTOOL: Placement = { offset: 0, address: 0x1_0000, markPort: SERIAL_PORT };
/** Where firmware of 64 KiB begins, for a CPU that comes from its reset vector. */
export const IN_FIRMWARE: Placement = { offset: 0, address: 0xffff_0000, markPort: SERIAL_PORT };

const u16 = (value: number) => [value & 0xff, value >>> 8 & 0xff];
const u32 = (value: number) => [...u16(value), ...u16(value >>> 16)];

/** Ends the guest in each VMM by the first of the three that means something there. */
const END = [
  ...[0xb0, 0xfe], // mov al, 0xfe
  ...[0xe6, 0x64], // out 0x64, al    the keyboard controller resets: hvsh, c_vmm.c, kvmtool
  ...[0xe6, 0xf4], // out 0xf4, al    isa-debug-exit: QEMU
  0xf4, // hlt
];

/** The smallest guest: 13 bytes that print "A" and end. */
export const tiny: Uint8Array<ArrayBuffer> = Uint8Array.of(
  ...[0xba, ...u16(SERIAL_PORT)], // mov dx, 0x3f8
  ...[0xb0, 0x41], // mov al, 'A'
  0xee, // out dx, al
  ...END,
);

/** A guest that spins. */
export const spinning: Uint8Array<ArrayBuffer> = Uint8Array.of(0xeb, 0xfe); // 1: jmp 1b

/** Exits before the first mark: what still goes on of the VM's start is over then. */
const LEAD_IN = 100;

/**
 * Leaves the guest again and again, between marks.
 *
 * @param exits How often
 * @param exit The instruction that leaves the guest; DX is the port, EDI the address, AL anything
 * @param markPort Where to mark
 * @param port What DX holds
 */
function marked(exits: number, exit: number[], markPort: number, port: number): number[] {
  const movDx = (value: number) => [0xba, ...u16(value)]; // mov dx, value
  const movAl = (value: number) => [0xb0, value]; // mov al, value
  const repeat = (count: number) => [
    ...movDx(port),
    ...[0x66, 0xb9, ...u32(count)], // mov ecx, count
    ...exit, // 1:
    ...[0x66, 0x49], // dec ecx
    ...[0x75, 0x100 - (exit.length + 4)], // jnz 1b
  ];
  const mark = (value: number) => [
    ...movDx(markPort),
    ...movAl(value),
    0xee, // out dx, al
  ];
  return [
    ...movAl(0), // no mark, should it go out of the serial port
    ...repeat(LEAD_IN),
    ...mark(Mark.BEGIN),
    ...repeat(exits),
    ...mark(Mark.END),
    ...END,
  ];
}

/**
 * Writes to a port.
 *
 * @param exits How often
 * @param placement Where the guest is put
 * @param port The port; left out, one that nobody answers
 * @returns The guest
 */
export function portWrites(
  exits: number,
  { markPort }: Placement,
  port = UNCLAIMED_PORT,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(marked(exits, [0xee], markPort, port)); // out dx, al
}

/**
 * Writes bytes to an address that nobody answers. Real mode reaches only the first MiB, where other
 * VMMs have RAM, so DS gets a limit of 4 GiB first.
 *
 * @param exits How often
 * @param placement Where the guest is put
 * @returns The guest
 */
export function memoryWrites(exits: number, placement: Placement): Uint8Array<ArrayBuffer> {
  const code = (gdtr: number) => [
    0xfa, // cli
    ...[0x2e, 0x66, 0x0f, 0x01, 0x16, ...u16(placement.offset + gdtr)], // lgdtl cs:gdtr
    ...[0x0f, 0x20, 0xc0], // mov eax, cr0
    ...[0x0c, 0x01], // or al, 1         CR0.PE
    ...[0x0f, 0x22, 0xc0], // mov cr0, eax
    ...[0xb8, 0x08, 0x00], // mov ax, 8
    ...[0x8e, 0xd8], // mov ds, ax       CS stays as real mode left it
    ...[0x66, 0xbf, ...u32(UNCLAIMED_ADDRESS)], // mov edi, address
    ...marked(exits, [0x67, 0x88, 0x07], placement.markPort, UNCLAIMED_PORT), // mov [edi], al
  ];
  const gdt = code(0).length;
  const gdtr = gdt + 16;
  return Uint8Array.of(
    ...code(gdtr),
    ...new Uint8Array(8), // the null descriptor
    // Data, writable, base 0, limit 4 GiB; accessed already, since firmware can't be written.
    ...[0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00],
    ...u16(15),
    ...u32(placement.address + gdt),
  );
}

const FIRMWARE_SIZE = 0x1_0000;
const RESET_VECTOR = 0xfff0;

/**
 * Makes firmware of a guest that was built for {@linkcode IN_FIRMWARE}.
 *
 * @param guest The guest
 * @returns 64 KiB that run it from the reset vector
 */
export function firmware(guest: Uint8Array): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(FIRMWARE_SIZE);
  image.set(guest);
  image.set([0xe9, ...u16(FIRMWARE_SIZE - (RESET_VECTOR + 3))], RESET_VECTOR); // jmp 0
  return image;
}
