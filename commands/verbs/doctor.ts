/**
 * `doctor`: what this host has, lacks, and how to mend it.
 *
 * @module
 */
import type { Finding } from "../doctor/finding.ts";
import { outputFlag, outputFormat, writeRecords } from "../output.ts";
import type { DataRecord, RecordLayout } from "../output.ts";
import type { CellColor } from "../text_table.ts";
import type { Verb } from "../verb.ts";

const COLORS: Readonly<Record<string, CellColor>> = {
  ok: "green",
  warn: "yellow",
  missing: "red",
};
const LAYOUT: RecordLayout = {
  name: "check",
  columns: [
    { key: "state", color: (state) => COLORS[state] },
    { key: "check" },
    { key: "detail", whole: true },
  ],
};

/** Exit status if no guest can run here. */
const NO_KVM = 125;

/** What mends it has a line of its own: the commands are long. */
function tableRows({ fix, ...finding }: Finding): DataRecord[] {
  return fix === undefined
    ? [finding]
    : [finding, { state: "", check: "", detail: `  try: ${fix}` }];
}

/** The row of the table. */
export const verb: Verb = {
  name: "doctor",
  summary: "Check this host and say how to mend what is missing",
  description:
    "Looks at KVM and what else hvsh uses of its host. Each line is ok, warn or missing, with the " +
    "command that mends it. The exit status is 0 if guests can run here, else 125.",
  group: "around",
  flags: outputFlag,
  arguments: [],
  reads: "nothing",
  writes: "records",
  examples: [
    { line: `hvsh doctor | jq -r 'select(.check=="Deno") | .state'`, prints: "ok\n" },
    { line: "hvsh doctor -o table" },
  ],
  run: async (words, context) => {
    const [{ kvmFindings }, { hostFindings }] = await Promise.all([
      import("../doctor/kvm_findings.ts"),
      import("../doctor/host_findings.ts"),
    ]);
    const kvm = kvmFindings();
    const findings = [...kvm, ...hostFindings()];
    const records = outputFormat(words, context) === "table"
      ? findings.flatMap(tableRows)
      : findings.map((finding) => ({ ...finding }));
    await writeRecords(records, LAYOUT, words, context);
    return kvm.some(({ state }) => state === "missing") ? NO_KVM : 0;
  },
};
