/**
 * `hvsh list`: the live VMs.
 *
 * @module
 */
import { namedVms, request } from "../live/clients.ts";
import type { Handle } from "../live/owner.ts";
import { findVms, type RunDirectory } from "../live/run_directory.ts";
import { readStatus } from "../live/status_file.ts";
import { outputFlag, type RecordLayout, stateColor, writeRecords } from "../output.ts";
import type { Verb } from "../verb.ts";

const LAYOUT: RecordLayout = {
  columns: [{ key: "live" }, { key: "pid", right: true }, {
    key: "state",
    whole: true,
    color: stateColor,
  }],
  name: "live",
};

/** The row of `list`. */
export const verb: Verb = {
  name: "list",
  summary: "List the live VMs",
  description:
    "Prints a handle for each live VM of yours: its name, its owner's process and its state. With words, " +
    "of those that match.",
  group: "live",
  flags: { ...outputFlag },
  arguments: [{
    name: "NAME",
    value: "vm",
    optional: true,
    repeat: true,
    help: "names, or patterns such as 'web*'",
  }],
  reads: "nothing",
  writes: "handles",
  examples: [{ line: `hvsh list | jq -c 'select(.state=="paused")' | hvsh resume`, needs: "kvm" }],
  async run(words, context) {
    const vms = words.name === undefined
      ? findVms()
      : await Array.fromAsync(namedVms(words, context));
    const asked = await Promise.all(vms.map(handleOf));
    const handles = asked.filter((handle) => handle !== undefined && handle.state !== "ended");
    await writeRecords(handles.map((handle) => ({ ...handle })), LAYOUT, words, context);
    return 0;
  },
};

/** Undefined for one that has ended meanwhile. */
async function handleOf(vm: RunDirectory): Promise<Handle | undefined> {
  const said = readStatus(vm);
  if (said !== undefined) return said;
  try {
    return await request(vm, "status");
  } catch (error) {
    if (vm.live) throw error;
    return undefined;
  }
}
