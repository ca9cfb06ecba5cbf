/**
 * A vCPU's registers as a person reads them: rows of names and values, a row a segment, and the bits of
 * flags by their names.
 *
 * @module
 */

/** Bits by name, from bit 0 (SDM vol. 1, 3.4.3; vol. 3, 2.5 and 2.2.1). */
const FLAGS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  rflags: {
    0: "CF",
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
  },
  cr0: {
    0: "PE",
    1: "MP",
    2: "EM",
    3: "TS",
    4: "ET",
    5: "NE",
    16: "WP",
    18: "AM",
    29: "NW",
    30: "CD",
    31: "PG",
  },
  cr4: {
    0: "VME",
    1: "PVI",
    2: "TSD",
    3: "DE",
    4: "PSE",
    5: "PAE",
    6: "MCE",
    7: "PGE",
    8: "PCE",
    9: "OSFXSR",
    10: "OSXMMEXCPT",
    11: "UMIP",
    12: "LA57",
    13: "VMXE",
    16: "FSGSBASE",
    17: "PCIDE",
    18: "OSXSAVE",
    20: "SMEP",
    21: "SMAP",
    22: "PKE",
  },
  efer: { 0: "SCE", 8: "LME", 10: "LMA", 11: "NXE", 12: "SVME", 14: "FFXSR", 15: "TCE" },
};

/** Longer lines are hard to read, and there is room for a row of segments. */
const LONGEST = 100;
const SELECTOR_DIGITS = 4;

/**
 * Lays registers out.
 *
 * @param vm The VM's name
 * @param cpu The vCPU's number
 * @param registers Values by name, as `"0x…"`
 * @param columns The longest line, unless one register needs more
 * @returns Lines with line ends
 */
export function registerText(
  vm: string,
  cpu: number,
  registers: Readonly<Record<string, string>>,
  columns = Infinity,
): string {
  const longest = Math.min(columns, LONGEST);
  const lines = [`${vm} vCPU ${cpu}`];
  let row = "";
  const flush = () => {
    if (row !== "") lines.push(`  ${row.trimEnd()}`);
    row = "";
  };
  let family = "";
  for (const [name, value] of Object.entries(registers)) {
    const [owner = "", field] = name.split(".", 2);
    const own = familyOf(registers, name, owner);
    const cell = cellOf(own, name, field, value);
    if (own !== family || row.length + cell.length + 2 > longest) flush();
    if (own !== family && own !== "" && field !== undefined) row = `${owner.padEnd(6)} `;
    if (cell !== "") row += `${cell}  `;
    family = own;
  }
  flush();
  return lines.join("\n") + "\n";
}

/** Attributes of segments that are a bit: named if it is set. */
const BITS: ReadonlySet<string> = new Set(["s", "present", "avl", "l", "db", "g", "unusable"]);

function cellOf(family: string, name: string, field: string | undefined, value: string): string {
  const digits = value.slice(2);
  if (field !== undefined && family !== "") {
    if (BITS.has(field)) return digits === "1" ? field : "";
    return `${field} ${digits}`;
  }
  const width = family === name && !(name in FLAGS) ? SELECTOR_DIGITS : widthOf(digits);
  return `${name.padEnd(6)} ${digits.padStart(width, "0")}${flagText(name, value)}`;
}

/** Registers of one family stand on a line of their own: `cs` with `cs.base`, `gdt.base`. */
function familyOf(
  registers: Readonly<Record<string, string>>,
  name: string,
  owner: string,
): string {
  if (name in FLAGS) return name;
  return name !== owner || `${name}.base` in registers ? owner : "";
}

/** Digits: as many as the next width of a register has. */
function widthOf(digits: string): number {
  return [16, 32, 64, 128].find((size) => digits.length <= size) ?? digits.length;
}

function flagText(name: string, value: string): string {
  const names = FLAGS[name];
  if (names === undefined) return "";
  const bits = BigInt(value);
  const set = Object.entries(names).filter(([bit]) => (bits >> BigInt(bit)) & 1n);
  return ` [${set.map(([, flag]) => flag).join(" ")}]`;
}
