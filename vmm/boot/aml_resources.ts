/**
 * Resource descriptors, what `_CRS` of a device says it occupies (ACPI 6.5 §6.4).
 *
 * @module
 */
import { type Aml, buffer } from "./aml.ts";
import { littleEndian, sequence } from "./byte_sequence.ts";

/**
 * ResourceTemplate: a buffer of descriptors closed by an end tag.
 *
 * @param descriptors The resources
 * @returns A Buffer term
 */
export function resourceTemplate(...descriptors: Aml[]): Aml {
  // §6.4.2.9: a checksum of 0 means that the sum is to be taken as right.
  return buffer(sequence(...descriptors, 0x79, 0x00));
}

/**
 * I/O port descriptor (§6.4.2.5), 16-bit decoding, at a fixed place.
 *
 * @param base First port
 * @param length How many, up to 255
 * @returns The descriptor
 */
export function io(base: number, length: number): Aml {
  const port = littleEndian(base, 2);
  return sequence(0x47, 0x01, port, port, 0x01, length);
}

/**
 * IRQ descriptor (§6.4.2.1) without flags: edge-triggered, active high, exclusive, as ISA has it.
 *
 * @param line 0 to 15
 * @returns The descriptor
 */
export function irq(line: number): Aml {
  return sequence(0x22, littleEndian(1 << line, 2));
}

/**
 * Extended interrupt descriptor (§6.4.3.6): level-triggered, active high, shared.
 *
 * @param gsi The interrupt's GSI
 * @returns The descriptor
 */
export function interrupt(gsi: number): Aml {
  const CONSUMER = 1 << 0;
  const SHARED = 1 << 3;
  return sequence(0x89, littleEndian(6, 2), CONSUMER | SHARED, 1, littleEndian(gsi, 4));
}

/**
 * 32-bit fixed memory range descriptor (§6.4.3.4), writable.
 *
 * @param base First guest-physical address, below 4 GiB
 * @param length Bytes, below 4 GiB
 * @returns The descriptor
 */
export function memory32Fixed(base: number, length: number): Aml {
  return sequence(0x86, 0x09, 0x00, 0x01, littleEndian(base, 4), littleEndian(length, 4));
}

/** Resource type, general flags and type-specific flags of an address space descriptor (§6.4.3.5). */
const Space = {
  /** Memory, minimum and maximum fixed, positive decode; non-cacheable, read-write. */
  MEMORY: [0x00, 0x0c, 0x01],
  /** I/O, minimum and maximum fixed; the entire range. */
  IO: [0x01, 0x0c, 0x03],
  /** Bus numbers, minimum and maximum fixed. */
  BUS: [0x02, 0x0c, 0x00],
} as const;

/** Large resource item tags and widths: word, double word, quad word. */
const AddressSpace = { WORD: [0x88, 2], DWORD: [0x87, 4], QWORD: [0x8a, 8] } as const;

function addressSpace(
  [tag, width]: readonly [number, number],
  space: readonly [number, number, number],
  base: number,
  length: number,
): Aml {
  const fields = [0, base, base + length - 1, 0, length]; // granularity, min, max, translation
  return sequence(
    tag,
    littleEndian(3 + 5 * width, 2),
    ...space,
    ...fields.map((field) => littleEndian(field, width)),
  );
}

/**
 * Bus numbers that a bridge owns, from 0.
 *
 * @param count How many, 1 to 256
 * @returns A word address space descriptor
 */
export function busNumbers(count: number): Aml {
  return addressSpace(AddressSpace.WORD, Space.BUS, 0, count);
}

/**
 * Ports that a bridge passes down.
 *
 * @param base First port
 * @param length How many
 * @returns A word address space descriptor
 */
export function ioWindow(base: number, length: number): Aml {
  return addressSpace(AddressSpace.WORD, Space.IO, base, length);
}

/**
 * Memory that a bridge passes down.
 *
 * @param base First guest-physical address
 * @param length Bytes
 * @returns A double word descriptor below 4 GiB, a quad word descriptor above
 */
export function memoryWindow(base: number, length: number): Aml {
  const form = base + length <= 0x1_0000_0000 ? AddressSpace.DWORD : AddressSpace.QWORD;
  return addressSpace(form, Space.MEMORY, base, length);
}
