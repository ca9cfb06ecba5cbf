/**
 * `hvsh status`: how live VMs are.
 *
 * @module
 */
import { formatSize } from "../../vmm/size.ts";
import { eachVm, vmNames } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { exitRecord } from "../live/owner.ts";
import {
  type DataRecord,
  outputFlag,
  type RecordLayout,
  stateColor,
  writeRecords,
} from "../output.ts";
import type { Verb } from "../verb.ts";

const LAYOUT: RecordLayout = {
  columns: [
    { key: "live" },
    { key: "pid", right: true },
    { key: "state", whole: true, color: stateColor },
    { key: "seconds", right: true },
    { key: "cpus", right: true },
    {
      key: "memory",
      right: true,
      format: (bytes) => bytes === undefined ? "-" : formatSize(bytes as number),
    },
    { key: "resets", right: true },
    { key: "reason" },
    { key: "status", right: true },
  ],
  name: "live",
};

/** The row of `status`. */
export const verb: Verb = {
  name: "status",
  summary: "Show how live VMs are",
  description:
    "Prints a record for each VM: its state, its age in seconds, CPUs, memory, devices and how often it " +
    "has started anew. One that has ended and that nobody has waited for is told of too, as often as one " +
    "asks.",
  group: "live",
  flags: { ...outputFlag },
  arguments: [vmNames],
  reads: "handles",
  writes: "handles",
  examples: [{ line: "hvsh status web | jq .state", needs: "kvm" }],
  async run(words, context) {
    const records: DataRecord[] = [];
    await eachVm(
      words,
      {
        input: context.input,
        emit: (value) => Promise.resolve(void records.push(value as DataRecord)),
      },
      async (vm) => {
        if (!vm.live) return exitRecord(vm);
        return await call(vm.control, "control.describe");
      },
      { ended: true },
    );
    await writeRecords(records, LAYOUT, words, context);
    return 0;
  },
};
