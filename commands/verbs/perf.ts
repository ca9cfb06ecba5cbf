/**
 * `hvsh perf`: where live VMs spend their time.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { DEFAULT_FREQUENCY, MOST_FREQUENCY } from "../../vmm/debug/profile.ts";
import type { Symbols } from "../../vmm/debug/symbols.ts";
import { absolutePath } from "../image_path.ts";
import { namedVms } from "../live/clients.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { outputFlag, writeRecords } from "../output.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";
import { CallStacks } from "../watch/call_stacks.ts";
import { followVms } from "../watch/follow_vms.ts";
import { type ProfileRequest, sampleFromJson, type SampleJson } from "../watch/wire.ts";

const DEFAULT_SECONDS = 10;
const FORMS = ["folded", "svg", "pprof"] as const;

/** The row of `perf`. */
export const verb: Verb = {
  name: "perf",
  summary: "Sample where live VMs spend their time",
  description:
    "Looks a number of times a second where each vCPU stands and who called what it runs, and prints " +
    "the functions that it was found in most. Names come from the kernel in the VM's memory and its " +
    "modules, or from --symbols. Callers are found by frame pointers: a kernel built without them " +
    "(CONFIG_UNWINDER_FRAME_POINTER) shows the functions alone. A vCPU that is halted is idle; one " +
    "that is paused gives no samples.",
  group: "live",
  flags: {
    frequency: {
      short: "F",
      value: "number",
      metavar: "HZ",
      help: `Samples of each vCPU in a second, 1 to ${MOST_FREQUENCY} (${DEFAULT_FREQUENCY})`,
    },
    seconds: {
      short: "t",
      value: "seconds",
      metavar: "SECONDS",
      help: `For how long (${DEFAULT_SECONDS})`,
    },
    cpu: { value: "number", metavar: "N", repeat: true, help: "Only this vCPU" },
    symbols: { value: "path", metavar: "FILE", help: "An ELF, or what nm prints" },
    folded: { help: "Print stacks for flamegraph.pl, speedscope and their like" },
    svg: { help: "Print a flame graph" },
    pprof: { help: "Print what `go tool pprof` reads" },
    ...outputFlag,
  },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh perf web -t 10 --folded | flamegraph.pl > f.svg", needs: "kvm" },
    { line: "hvsh perf web -t 5 | jq -r 'select(.percent>10) | .function'", needs: "kvm" },
  ],
  async run(words, context) {
    const request = profileRequest(words);
    const form = formOf(words);
    const known = words.symbols === undefined
      ? undefined
      : await readSymbols(absolutePath(words.symbols as string, context.cwd));
    const vms = await Array.fromAsync(namedVms(words, context));
    const timeNanos = BigInt(Date.now()) * 1_000_000n;
    const start = performance.now();
    const samples = await sample(vms, request, context);
    const durationNanos = BigInt(Math.round((performance.now() - start) * 1e6));

    const profiles = await Promise.all(vms.map(async (vm) => {
      const own = samples.get(vm)!;
      const symbols = known ?? await symbolsOf(vm, own);
      const root = vms.length > 1 ? vm.name : undefined;
      const stacks = new CallStacks((address) => symbols?.nearest(address), root);
      for (const one of own) stacks.add(sampleFromJson(one));
      return { live: vm.name, stacks };
    }));
    const stacks = profiles.flatMap(({ stacks }) => stacks.stacks);
    switch (form) {
      case "folded":
        await context.print((await import("../watch/folded.ts")).folded(stacks));
        break;
      case "svg": {
        const { flameGraph } = await import("../watch/flame_graph.ts");
        await context.print(flameGraph(stacks, vms.map(({ name }) => name).join(", ")));
        break;
      }
      case "pprof": {
        const { pprof } = await import("../watch/pprof.ts");
        const { frequency = DEFAULT_FREQUENCY } = request;
        await context.write(pprof(stacks, { frequency, timeNanos, durationNanos }));
        break;
      }
      default:
        await printHottest(profiles, words, context);
    }
    if (stacks.length === 0) context.note("hvsh perf: no vCPU ran: there is not one sample");
    return 0;
  },
};

type Form = typeof FORMS[number];

function formOf(words: Words): Form | undefined {
  const forms = FORMS.filter((form) => words[form] === true);
  if (forms.length > 1) throw new UsageError(`--${forms.join(" and --")} are two forms of output`);
  return forms[0];
}

function profileRequest(words: Words): ProfileRequest & { seconds: number } {
  const { frequency, seconds = DEFAULT_SECONDS, cpu } = words;
  if (typeof frequency === "number" && (frequency < 1 || frequency > MOST_FREQUENCY)) {
    throw new UsageError(
      `Cannot sample ${frequency} times a second: it can be 1 to ${MOST_FREQUENCY}`,
    );
  }
  return {
    seconds: seconds as number,
    ...(frequency === undefined ? {} : { frequency: frequency as number }),
    ...(cpu === undefined ? {} : { cpus: cpu as readonly number[] }),
  };
}

async function sample(
  vms: readonly RunDirectory[],
  request: ProfileRequest,
  context: VerbContext,
): Promise<Map<RunDirectory, SampleJson[]>> {
  const samples = new Map<RunDirectory, SampleJson[]>(vms.map((vm) => [vm, []]));
  await followVms(vms, "watch.profile", request, context.signal, (vm, params) => {
    samples.get(vm)!.push(...params as SampleJson[]);
  });
  return samples;
}

async function readSymbols(path: string): Promise<Symbols> {
  return await (await import("../watch/symbol_file.ts")).symbolFile(path);
}

/** Looked for afterwards, when the modules that ran are there, and only if there is something to name. */
async function symbolsOf(
  vm: RunDirectory,
  samples: readonly SampleJson[],
): Promise<Symbols | undefined> {
  if (samples.length === 0) return undefined;
  return await (await import("../watch/vm_symbols.ts")).vmSymbols(vm);
}

async function printHottest(
  profiles: readonly { readonly live: string; readonly stacks: CallStacks }[],
  words: Words,
  context: VerbContext,
): Promise<void> {
  const several = profiles.length > 1 ? [{ key: "live" }] : [];
  await writeRecords(
    profiles.flatMap(({ live, stacks }) => stacks.hottest.map((hot) => ({ live, ...hot }))),
    {
      columns: [
        ...several,
        { key: "percent", right: true, format: (value) => (value as number).toFixed(2) },
        { key: "samples", right: true },
        { key: "mode" },
        { key: "function" },
      ],
      name: "function",
    },
    words,
    context,
  );
}
