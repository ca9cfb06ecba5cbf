/**
 * What `top` shows: of VMs, of their vCPUs or of their devices, sorted as one likes.
 *
 * @module
 */
import { type Column, type DataRecord, type RecordLayout, stateColor } from "../output.ts";
import { renderTable } from "../text_table.ts";
import type { TerminalLook } from "../verb.ts";
import type { VmLook } from "./vm_rates.ts";

/** What a line stands for. */
export type TopPart = "vms" | "vcpus" | "devices";

/** How `top` shows it; a person changes that by keys. */
export interface TopState {
  readonly part: TopPart;
  /** The key of the column that it is sorted by. */
  readonly sort: string;
  /** The keys are explained in place of the table. */
  readonly help: boolean;
}

interface TitledColumn extends Column {
  readonly title: string;
}

const right = true;
const size = (value: unknown) => roughSize(value as number);
const percent = (value: unknown) => (value as number).toFixed(1);
const TRANSFERS: readonly TitledColumn[] = [
  { key: "read", title: "READ/S", right, format: size },
  { key: "written", title: "WRITTEN/S", right, format: size },
  { key: "received", title: "RECEIVED/S", right, format: size },
  { key: "sent", title: "SENT/S", right, format: size },
];
const CPU: TitledColumn = { key: "cpu_percent", title: "%CPU", right, format: percent };
const COLUMNS: Readonly<Record<TopPart, readonly TitledColumn[]>> = {
  vms: [
    { key: "live", title: "VM" },
    CPU,
    { key: "state", title: "STATE", whole: true, color: stateColor },
    { key: "vcpus", title: "VCPUS", right },
    { key: "exits", title: "EXITS/S", right },
    { key: "resident", title: "RESIDENT", right, format: size },
    { key: "memory", title: "MEMORY", right, format: size },
    ...TRANSFERS,
    { key: "pid", title: "PID", right },
  ],
  vcpus: [
    { key: "live", title: "VM" },
    { key: "vcpu", title: "VCPU", right },
    CPU,
    { key: "system_percent", title: "%SYSTEM", right, format: percent },
    { key: "wait_percent", title: "%WAIT", right, format: percent },
    { key: "exits", title: "EXITS/S", right },
  ],
  devices: [
    { key: "live", title: "VM" },
    { key: "device", title: "DEVICE" },
    { key: "operations", title: "OPS/S", right },
    ...TRANSFERS,
    { key: "errors", title: "ERRORS/S", right },
    { key: "interrupts", title: "IRQS/S", right },
    { key: "notifications", title: "KICKS/S", right },
  ],
};

/** Keys that choose what a line stands for. */
const PART_KEYS: Readonly<Record<string, TopPart>> = { v: "vms", "1": "vcpus", d: "devices" };
/** Keys that choose the column to sort by: the first of these that there is. */
const SORT_KEYS: Readonly<Record<string, readonly string[]>> = {
  c: ["cpu_percent", "operations"],
  e: ["exits", "operations"],
  m: ["resident"],
  r: ["read"],
  w: ["written"],
  i: ["received"],
  o: ["sent"],
  n: ["live"],
};
const HELP = `\
Lines:  v VMs   1 vCPUs   d devices
Order:  c CPU   e exits   m memory
        r read  w written
        i received  o sent  n name
h this help   q leave
`;

/** What sorting begins with. */
export const FIRST_SORT: Readonly<Record<TopPart, string>> = {
  vms: "cpu_percent",
  vcpus: "cpu_percent",
  devices: "operations",
};

/**
 * What a key changes.
 *
 * @param state What was shown
 * @param key The key
 * @returns What is to be shown
 */
export function topKey(state: TopState, key: string): TopState {
  if (key === "h" || key === "?") return { ...state, help: !state.help };
  const part = PART_KEYS[key];
  if (part !== undefined) return { part, sort: FIRST_SORT[part], help: false };
  const sort = SORT_KEYS[key]?.find((name) => COLUMNS[state.part].some((c) => c.key === name));
  return sort === undefined ? state : { ...state, sort, help: false };
}

/** The columns that one may sort by. */
export function sortKeys(part: TopPart): string[] {
  return COLUMNS[part].map(({ key }) => key);
}

/** What records of a part look like where they are printed. */
export function topLayout(part: TopPart): RecordLayout {
  return { columns: COLUMNS[part], name: "live" };
}

/**
 * The records of a part, sorted: names from the first, figures from the highest.
 *
 * @param looks The VMs
 * @param state What is shown
 */
export function topRecords(
  looks: readonly VmLook[],
  { part, sort }: Pick<TopState, "part" | "sort">,
): DataRecord[] {
  const records = looks.flatMap(({ vm, vcpus, devices }): readonly unknown[] => {
    if (part === "vms") return [vm];
    return part === "vcpus" ? vcpus : devices;
  }) as DataRecord[];
  return records.toSorted((a, b) => compare(a[sort], b[sort]));
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return b - a;
  return `${a}` < `${b}` ? -1 : `${a}` > `${b}` ? 1 : 0;
}

/**
 * The screen.
 *
 * @param looks The VMs
 * @param state What is shown
 * @param look What it is to fit
 * @param clock The time of day
 * @returns Lines
 */
export function topScreen(
  looks: readonly VmLook[],
  state: TopState,
  look: TerminalLook,
  clock: string,
): string {
  const cpu = looks.reduce((sum, { vm }) => sum + vm.cpu_percent, 0);
  const head = `hvsh top - ${clock}, VMs: ${looks.length}, CPU: ${
    percent(cpu)
  } %, h helps, q leaves`;
  return `${head}\n\n${state.help ? HELP : table(looks, state, look)}`;
}

function table(looks: readonly VmLook[], state: TopState, look: TerminalLook): string {
  const columns = COLUMNS[state.part];
  const rows = topRecords(looks, state).map((record) =>
    columns.map(({ key, format = String }) => format(record[key], record))
  );
  return renderTable(
    columns.map(({ key, title, right = false, whole = false, color }) => ({
      title: key === state.sort ? `${title}*` : title,
      ...{ right, whole, color },
    })),
    rows,
    look,
  );
}

const UNITS = ["", "K", "M", "G", "T"];

/** A size for the eye: three digits or so. */
function roughSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return value < 10 && unit > 0
    ? `${value.toFixed(1)}${UNITS[unit]}`
    : `${Math.round(value)}${UNITS[unit]}`;
}
