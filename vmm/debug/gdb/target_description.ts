/**
 * Target descriptions: XML that tells GDB of registers and memory (GDB manual, appendices G and
 * "Memory Map Format").
 *
 * @module
 */
import type { MemorySlot } from "../../memory_slot.ts";
import type { TargetArchitecture, TargetFeature, TargetRegister } from "./target_registers.ts";

const EFLAGS: Readonly<Record<number, string>> = {
  0: "CF",
  1: "",
  2: "PF",
  4: "AF",
  6: "ZF",
  7: "SF",
  8: "TF",
  9: "IF",
  10: "DF",
  11: "OF",
  14: "NT",
  16: "RF",
  17: "VM",
  18: "AC",
  19: "VIF",
  20: "VIP",
  21: "ID",
};
const MXCSR = ["IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "PM"];
const FLUSH_TO_ZERO = 15;

/**
 * Describes the registers.
 *
 * @param architecture What GDB is told it is
 * @param features The registers
 * @returns `target.xml`
 */
export function targetXml(
  architecture: TargetArchitecture,
  features: readonly TargetFeature[],
): string {
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
    "<target>",
    `<architecture>${architecture}</architecture>`,
    ...features.flatMap(({ name, registers }) => [
      `<feature name="${name}">`,
      ...typesFor(registers),
      ...registers.map(register),
      "</feature>",
    ]),
    "</target>",
    "",
  ].join("\n");
}

function register({ name, bits, type, group }: TargetRegister): string {
  const more = group === undefined ? "" : ` group="${group}"`;
  return `<reg name="${name}" bitsize="${bits}" type="${type}"${more}/>`;
}

/** The types that GDB does not have by itself. */
function typesFor(registers: readonly TargetRegister[]): string[] {
  const used = new Set(registers.map(({ type }) => type));
  const vectors = [
    ["v4f", "ieee_single", 4],
    ["v2d", "ieee_double", 2],
    ["v16i8", "int8", 16],
    ["v8i16", "int16", 8],
    ["v4i32", "int32", 4],
    ["v2i64", "int64", 2],
  ] as const;
  return [
    ...(used.has("i386_eflags") ? flags("i386_eflags", Object.entries(EFLAGS)) : []),
    ...(used.has("i386_mxcsr")
      ? flags("i386_mxcsr", [...Object.entries(MXCSR), [`${FLUSH_TO_ZERO}`, "FZ"]])
      : []),
    ...(used.has("vec128")
      ? [
        ...vectors.map(([id, type, count]) =>
          `<vector id="${id}" type="${type}" count="${count}"/>`
        ),
        '<union id="vec128">',
        ...vectors.map(([id]) => `<field name="${id}" type="${id}"/>`),
        '<field name="uint128" type="uint128"/>',
        "</union>",
      ]
      : []),
  ];
}

function flags(id: string, bits: readonly (readonly [string, string])[]): string[] {
  return [
    `<flags id="${id}" size="4">`,
    ...bits.map(([bit, name]) => `<field name="${name}" start="${bit}" end="${bit}"/>`),
    "</flags>",
  ];
}

const END = 2n ** 64n;

/**
 * Describes memory. GDB's addresses are linear and may lead anywhere, so that all of it is memory; what
 * the guest can't write is told, so that GDB puts breakpoints there into debug registers.
 *
 * @param slots The machine's memory
 * @returns The memory map
 */
export function memoryMapXml(slots: readonly MemorySlot[]): string {
  const lines: string[] = [];
  const region = (type: string, start: bigint, end: bigint) => {
    // A length of 2^64 does not fit into 64 bits.
    for (let at = start; at < end;) {
      const length = end - at < END / 2n ? end - at : END / 2n;
      lines.push(
        `<memory type="${type}" start="0x${at.toString(16)}" length="0x${length.toString(16)}"/>`,
      );
      at += length;
    }
  };
  let at = 0n;
  for (const { base, size } of slots.filter(({ readonly }) => readonly)) {
    region("ram", at, BigInt(base));
    at = BigInt(base + size);
    region("rom", BigInt(base), at);
  }
  region("ram", at, END);
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" ' +
    '"http://sourceware.org/gdb/gdb-memory-map.dtd">',
    "<memory-map>",
    ...lines,
    "</memory-map>",
    "",
  ].join("\n");
}
