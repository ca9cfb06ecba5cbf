/**
 * `hvsh top`: what all live VMs do, again and again.
 *
 * @module
 */
import { delay } from "../live/delay.ts";
import { findVm, findVms } from "../live/run_directory.ts";
import { type DataRecord, outputFlag, type RecordLayout, writeRecords } from "../output.ts";
import { renderTable } from "../text_table.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";
import { FullScreen } from "../watch/full_screen.ts";
import { VmObserver, type VmRates } from "../watch/vm_rates.ts";

const DEFAULT_INTERVAL = 1;

const size = (value: unknown) => roughSize(value as number);
const LAYOUT: RecordLayout = {
  columns: [
    { key: "live" },
    { key: "pid", right: true },
    { key: "state" },
    { key: "vcpus", right: true },
    { key: "cpu_percent", right: true, format: (value) => (value as number).toFixed(1) },
    { key: "exits", right: true },
    { key: "memory", right: true, format: size },
    { key: "resident", right: true, format: size },
    { key: "read", right: true, format: size },
    { key: "written", right: true, format: size },
    { key: "received", right: true, format: size },
    { key: "sent", right: true, format: size },
  ],
  name: "live",
};
const TITLES = [
  ...["VM", "PID", "STATE", "VCPUS", "%CPU", "EXITS/S", "MEMORY", "RESIDENT"],
  ...["READ/S", "WRITTEN/S", "RECEIVED/S", "SENT/S"],
];

/** The row of `top`. */
export const verb: Verb = {
  name: "top",
  summary: "Show what live VMs do, again and again",
  description:
    "Shows a line for each live VM, or for those named, and draws it anew each second: how much of the " +
    "host's CPUs its vCPUs take, exits, memory, and bytes a second of disks, folders and networks. q " +
    "leaves it. Where no person looks, or with --count, it prints records instead: one for each VM, of " +
    "the interval before.",
  group: "live",
  flags: {
    interval: { short: "i", value: "seconds", metavar: "SECONDS", help: "How often (1)" },
    count: { short: "n", value: "number", metavar: "COUNT", help: "Print so many times, then end" },
    ...outputFlag,
  },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "nothing",
  writes: "records",
  examples: [
    { line: "hvsh top", needs: "kvm" },
    { line: "hvsh top -n 1 | jq -r 'select(.cpu_percent>90) | .live'", needs: "kvm" },
  ],
  async run(words, context) {
    const names = (words.name ?? []) as readonly string[];
    for (const name of names) findVm(name); // a name that is wrong is said, not left out
    const watch = (observer: VmObserver) => {
      const vms = findVms();
      return observer.look(
        names.length === 0 ? vms : vms.filter(({ name }) => names.includes(name)),
      );
    };
    const plain = words.count !== undefined || words.output !== undefined;
    await using screen = plain ? undefined : await FullScreen.open(context);
    if (screen === undefined) return await print(watch, words, context);
    await live(watch, interval(words), screen);
    return screen.status;
  },
};

type Watch = (observer: VmObserver) => Promise<VmRates[]>;

function interval(words: Words): number {
  return (words.interval as number | undefined ?? DEFAULT_INTERVAL) * 1000;
}

async function print(watch: Watch, words: Words, context: VerbContext): Promise<number> {
  const observer = new VmObserver();
  await watch(observer);
  for (let round = (words.count as number | undefined) ?? 1; round > 0; round--) {
    if (!await delay(interval(words), context.signal)) break;
    const records = await watch(observer);
    await writeRecords(records as unknown as DataRecord[], LAYOUT, words, context);
  }
  return 0;
}

async function live(watch: Watch, milliseconds: number, screen: FullScreen): Promise<void> {
  const observer = new VmObserver();
  do {
    const rates = await watch(observer);
    const busiest = rates.toSorted((a, b) => b.cpu_percent - a.cpu_percent);
    await screen.draw(topTable(busiest));
  } while (await delay(milliseconds, screen.left));
}

/**
 * The table of the screen.
 *
 * @param rates A record for each VM
 * @returns Lines
 */
export function topTable(rates: readonly VmRates[]): string {
  const cpu = rates.reduce((sum, { cpu_percent }) => sum + cpu_percent, 0);
  const time = new Date().toTimeString().slice(0, 8);
  const summary = `hvsh top - ${time}, VMs: ${rates.length}, CPU: ${
    cpu.toFixed(1)
  } %, q leaves\n\n`;
  const rows = (rates as unknown as DataRecord[]).map((record) =>
    LAYOUT.columns.map(({ key, format = String }) => format(record[key], record))
  );
  const columns = LAYOUT.columns.map(({ right }, i) => ({
    title: TITLES[i]!,
    right: right === true,
  }));
  return summary + renderTable(columns, rows);
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
