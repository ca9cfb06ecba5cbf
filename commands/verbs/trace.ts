/**
 * `hvsh trace`: the exits of live VMs.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import { exitReason } from "../../vmm/debug/exit_trace.ts";
import { namedVms } from "../live/clients.ts";
import { outputFlag, outputFormat } from "../output.ts";
import type { Verb, Words } from "../verb.ts";
import { exitLine, exitTitle } from "../watch/exit_line.ts";
import { followVms } from "../watch/follow_vms.ts";
import { spanWord } from "../watch/span_word.ts";
import type { ExitJson, TraceRequest } from "../watch/wire.ts";

/** The row of `trace`. */
export const verb: Verb = {
  name: "trace",
  summary: "Show the exits of live VMs, as they come",
  description:
    "Prints a record for each exit from KVM to hvsh: when, on which vCPU, why, what was accessed and " +
    "which device answered, and how long that took. What KVM answers itself is not among them; " +
    "`hvsh stat` counts it. It never holds a vCPU up: exits that come faster than they are read are " +
    'lost, and a record with the reason "lost" says how many. It goes on until the VM ends.',
  group: "live",
  flags: {
    reason: {
      short: "r",
      value: "text",
      metavar: "NAME,…",
      repeat: true,
      help: "Only these: io, mmio, hlt, intr (a kick), shutdown, x86_rdmsr…",
    },
    device: { value: "device", metavar: "NAME", help: "Only those that this device answers" },
    port: { value: "text", metavar: "PORT[-PORT]", help: "Only accesses to these ports" },
    address: { value: "text", metavar: "ADDR[-ADDR]", help: "Only accesses to these addresses" },
    cpu: { value: "number", metavar: "N", repeat: true, help: "Only of this vCPU" },
    count: { short: "n", value: "number", metavar: "COUNT", help: "End after so many" },
    seconds: { short: "t", value: "seconds", metavar: "SECONDS", help: "End after so long" },
    ...outputFlag,
  },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh trace web | jq -r .reason | sort | uniq -c | sort -rn", needs: "kvm" },
    { line: "hvsh trace web --device serial0 -n 100 | jq -r .value", needs: "kvm" },
  ],
  async run(words, context) {
    const request = traceRequest(words);
    const vms = await Array.fromAsync(namedVms(words, context));
    let left = request.count ?? Infinity;
    if (left === 0) return 0;
    const enough = new AbortController();
    const signal = AbortSignal.any([context.signal, enough.signal]);
    const format = outputFormat(words, context);
    let titled = false;
    let start: number | undefined;
    await followVms(vms, "watch.trace", request, signal, async (vm, params) => {
      const exits = (params as ExitJson[]).slice(0, left);
      left -= exits.length;
      if (format === "table" && !titled) await context.print(exitTitle());
      titled = true;
      start ??= exits[0]?.time_ns as number | undefined;
      // In one piece: a line at a time would be slower than most guests.
      const lines = exits.map((exit) => {
        if (format === "name") return `${exit.reason}\n`;
        if (format === "table") return exitLine(vm.name, exit, start!);
        return JSON.stringify({ live: vm.name, ...exit }) + "\n";
      });
      if (lines.length > 0) await context.print(lines.join(""));
      if (left <= 0) enough.abort();
    });
    return 0;
  },
};

function traceRequest(words: Words): TraceRequest {
  const { reason, device, port, address, cpu, count, seconds } = words;
  return {
    ...(reason === undefined ? {} : { reasons: reasons(reason as readonly string[]) }),
    ...(device === undefined ? {} : { device: device as string }),
    ...(port === undefined ? {} : { ports: spanWord(port as string, "port") }),
    ...(address === undefined ? {} : { addresses: spanWord(address as string, "address") }),
    ...(cpu === undefined ? {} : { cpus: cpu as readonly number[] }),
    ...(count === undefined ? {} : { count: count as number }),
    ...(seconds === undefined ? {} : { seconds: seconds as number }),
  };
}

/** Names of reasons, each looked up now: the VM is asked only for what there is. */
function reasons(words: readonly string[]): string[] {
  const names = words.flatMap((word) => word.split(",")).filter((name) => name !== "");
  for (const name of names) {
    try {
      exitReason(name);
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      throw new UsageError(error.message, error.hint === undefined ? {} : { hint: error.hint });
    }
  }
  return names;
}
