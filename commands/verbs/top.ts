/**
 * `hvsh top`: what all live VMs do, again and again.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { delay } from "../live/delay.ts";
import { findVm, findVms } from "../live/run_directory.ts";
import { outputFlag, writeRecords } from "../output.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";
import { FullScreen } from "../watch/full_screen.ts";
import {
  FIRST_SORT,
  sortKeys,
  topKey,
  topLayout,
  type TopPart,
  topRecords,
  topScreen,
  type TopState,
} from "../watch/top_view.ts";
import { type VmLook, VmObserver } from "../watch/vm_rates.ts";

const DEFAULT_INTERVAL = 1;

/** The row of `top`. */
export const verb: Verb = {
  name: "top",
  summary: "Show what live VMs do, again and again",
  description:
    "Shows a line for each live VM, or for those named, and draws it anew each second: how much of the " +
    "host's CPUs its vCPUs take, exits, memory, and bytes a second of disks, folders and networks. Keys " +
    "choose vCPUs or devices and the order; h lists them, q leaves. Where no person looks, or with " +
    "--count, it prints records instead, of the interval before.",
  group: "live",
  flags: {
    interval: { short: "i", value: "seconds", metavar: "SECONDS", help: "How often (1)" },
    count: { short: "n", value: "number", metavar: "COUNT", help: "Print so many times, then end" },
    vcpus: { help: "A line for each vCPU" },
    devices: { help: "A line for each device" },
    sort: { short: "s", value: "text", metavar: "KEY", help: "Sort by this key of the records" },
    ...outputFlag,
  },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "nothing",
  writes: "records",
  examples: [
    { line: "hvsh top", needs: "kvm" },
    { line: "hvsh top -n 1 | jq -r 'select(.cpu_percent>90) | .live'", needs: "kvm" },
    { line: "hvsh top --devices --sort written", needs: "kvm" },
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
    let state = firstState(words);
    const plain = words.count !== undefined || words.output !== undefined;
    const onKey = (key: string) => state = topKey(state, key);
    await using screen = plain ? undefined : await FullScreen.open(context, onKey);
    if (screen === undefined) return await print(watch, state, words, context);
    await draw(watch, () => state, interval(words), screen);
    return screen.status;
  },
};

type Watch = (observer: VmObserver) => Promise<VmLook[]>;

function interval(words: Words): number {
  return (words.interval as number | undefined ?? DEFAULT_INTERVAL) * 1000;
}

function firstState({ vcpus, devices, sort }: Words): TopState {
  if (vcpus === true && devices === true) {
    throw new UsageError("A line is for a vCPU or for a device: --vcpus or --devices");
  }
  const part: TopPart = vcpus === true ? "vcpus" : devices === true ? "devices" : "vms";
  const keys = sortKeys(part);
  if (sort !== undefined && !keys.includes(sort as string)) {
    const near = nearestWord(sort as string, keys);
    throw new UsageError(`"${sort}" is no key of these records`, {
      hint: near === undefined ? `one of ${keys.join(" ")}` : `did you mean ${near}?`,
    });
  }
  return { part, sort: sort as string | undefined ?? FIRST_SORT[part], help: false };
}

async function print(
  watch: Watch,
  { part, sort }: TopState,
  words: Words,
  context: VerbContext,
): Promise<number> {
  const observer = new VmObserver();
  await watch(observer);
  for (let round = (words.count as number | undefined) ?? 1; round > 0; round--) {
    if (!await delay(interval(words), context.signal)) break;
    const looks = await watch(observer);
    // Names are in order where nobody has asked for another one.
    const records = topRecords(looks, { part, sort: words.sort === undefined ? "live" : sort });
    await writeRecords(records, topLayout(part), words, context);
  }
  return 0;
}

async function draw(
  watch: Watch,
  state: () => TopState,
  milliseconds: number,
  screen: FullScreen,
): Promise<void> {
  const observer = new VmObserver();
  let looks: VmLook[] = [];
  let due = 0;
  do {
    // Keys and a new size change what is shown, not over which time it was measured.
    if (performance.now() >= due) {
      looks = await watch(observer);
      due = performance.now() + milliseconds;
    }
    const clock = new Date().toTimeString().slice(0, 8);
    await screen.draw(topScreen(looks, state(), { ...screen.look, color: false }, clock));
  } while (await screen.pause(Math.max(0, due - performance.now())));
}
