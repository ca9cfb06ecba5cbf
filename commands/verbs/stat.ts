/**
 * `hvsh stat`: what is counted of live VMs.
 *
 * @module
 */
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import { namedVms } from "../live/clients.ts";
import { delay } from "../live/delay.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { type DataRecord, outputFlag, outputFormat, writeRecords } from "../output.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";
import { difference, figuresOf, partKey, type VmFigures } from "../watch/figures.ts";

/** The row of `stat`. */
export const verb: Verb = {
  name: "stat",
  summary: "Show what is counted of live VMs",
  description:
    "Prints a record for the VM, one for each vCPU and one for each device that counts something: KVM's " +
    "own figures (exits, interrupts, page faults, how long it halted), the vCPUs' times, requests, " +
    "bytes, packets, errors. The first ones count from the VM's start; with --interval more follow, " +
    "each with what happened since the one before, as vmstat has it. A terminal shows what is not 0.",
  group: "live",
  flags: {
    interval: {
      short: "i",
      value: "seconds",
      metavar: "SECONDS",
      help: "Look again and again, with so much in between",
    },
    count: { short: "n", value: "number", metavar: "COUNT", help: "End after so many looks" },
    ...outputFlag,
  },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh stat web | jq -c 'select(.device==\"disk0\")'", needs: "kvm" },
    { line: "hvsh stat web -i 1 -n 2 | jq -c 'select(.vcpu==0) | .exits'", needs: "kvm" },
  ],
  async run(words, context) {
    const vms = await Array.fromAsync(namedVms(words, context));
    const { interval, count = interval === undefined ? 1 : Infinity } = words as {
      interval?: number;
      count?: number;
    };
    const seen = new Map<RunDirectory, VmFigures>();
    for (let look = 0; look < count && vms.length > 0; look++) {
      if (look > 0 && !await delay((interval ?? 1) * 1000, context.signal)) break;
      for (const vm of [...vms]) {
        const figures = await lookAt(vm, look > 0, context.signal);
        if (figures === undefined) vms.splice(vms.indexOf(vm), 1);
        else await show(vm, seen.get(vm), figures, words, context);
        if (figures !== undefined) seen.set(vm, figures);
      }
    }
    return 0;
  },
};

/** Undefined of one that has been looked at before and has ended. */
async function lookAt(
  vm: RunDirectory,
  again: boolean,
  signal: AbortSignal,
): Promise<VmFigures | undefined> {
  try {
    return await figuresOf(vm, signal);
  } catch (error) {
    if (again && !vm.live) return undefined;
    throw error;
  }
}

async function show(
  vm: RunDirectory,
  before: VmFigures | undefined,
  now: VmFigures,
  words: Words,
  context: VerbContext,
): Promise<void> {
  const records = before === undefined ? now.records : difference(before.records, now.records);
  const seconds = before === undefined ? {} : { seconds: (now.at - before.at) / 1000 };
  const table = outputFormat(words, context) === "table";
  await writeRecords(
    table ? shown(vm.name, records) : records.map((record) => flat(vm.name, record, seconds)),
    {
      columns: [
        { key: "vm" },
        { key: "part" },
        { key: "figure" },
        { key: "value", right: true },
      ],
      name: "live",
    },
    words,
    context,
  );
  if (table) await context.print("\n");
}

/** A record of a stage: a part of the VM. */
function flat(live: string, record: FigureRecord, seconds: { seconds?: number }): DataRecord {
  const { part, id, figures } = record;
  const key = part === "vm" ? { kvm: "vm" } : { [part]: id };
  return { live, ...key, ...seconds, ...figures };
}

/** A record of the table: a figure. Histograms have no place in it. */
function shown(vm: string, records: readonly FigureRecord[]): DataRecord[] {
  return records.flatMap((record) =>
    Object.entries(record.figures)
      .filter(([, value]) => typeof value === "number" && value !== 0)
      .map(([figure, value]) => ({ vm, part: partKey(record), figure, value }))
  );
}
