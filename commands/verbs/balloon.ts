/**
 * `balloon`: memory that goes back to the host while the guest does not need it.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import { parseSize } from "../../vmm/size.ts";
import { eachVm, request } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

/** What a balloon is asked to take, in a VM that runs. */
async function inflate(words: Words, context: VerbContext): Promise<number> {
  const { size, target = size, name } = words;
  if (target === undefined) {
    throw new UsageError("SIZE is missing: how much memory to take", {
      hint: "hvsh balloon web 128M",
    });
  }
  const value = String(parseSize(target as string | number));
  return await eachVm({ name: words.vm }, context, async (vm) => {
    const devices = await call(vm.control, "device.list") as { type: string; name: string }[];
    const found = devices.find((d) => name === undefined ? d.type === "balloon" : d.name === name);
    const action = { device: found?.name, action: "target", value };
    if (found !== undefined && await call(vm.control, "device.act", action) === true) {
      return await request(vm, "status");
    }
    throw new VmError(`${vm.name} has no balloon${name === undefined ? "" : ` ${name}`}`, {
      hint: `hvsh attach ${vm.name} balloon`,
    });
  });
}

/** The row of the table. */
export const verb: Verb = {
  name: "balloon",
  summary: "Take memory back from the guest, and see how much it uses",
  description:
    "Adds a virtio memory balloon. What the guest has free goes back to the host by itself; with " +
    "--target the guest gives up that much of its memory. With the name of a balloon that is there it " +
    "changes that one. With the name of a live VM, or handles on stdin, it has that VM's balloon take " +
    "SIZE, or --target, and passes the handles on.",
  group: "build",
  flags: {
    target: {
      short: "t",
      value: "size",
      metavar: "SIZE",
      help: "Memory to take from the guest (0)",
    },
    stats: {
      short: "s",
      value: "seconds",
      metavar: "SECONDS",
      help: "Ask the guest for its figures this often (only at its start)",
    },
    "no-deflate": { help: "Keep the memory even when the guest has none left" },
    "no-reporting": { help: "Leave free memory with the guest, but for the target" },
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (balloon0)" },
  },
  arguments: [
    { name: "VM", value: "vm", optional: true, help: "a live VM, or a pattern" },
    { name: "SIZE", value: "size", optional: true, help: "memory to take from it" },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    { line: "hvsh balloon web 128M", needs: "kvm" },
    {
      line: "hvsh create -m 1G | hvsh balloon --target 256M --stats 2 | jq -c .devices[1]",
      prints: '{"type":"balloon","name":"balloon0","target":268435456,"statsInterval":2}\n',
    },
    {
      line: "hvsh create | hvsh balloon --no-deflate | jq .devices[1].deflateOnOom",
      prints: "false\n",
    },
  ],
  build(document, words) {
    if (words.vm !== undefined) throw new UsageError(`"${words.vm}" is one word too many`);
    return withDevice(document, {
      type: "balloon",
      name: words.name as string ?? freeName(document, "balloon"),
      ...(words.target === undefined ? {} : { target: words.target }),
      ...(words.stats === undefined ? {} : { statsInterval: words.stats }),
      ...(words["no-deflate"] === true ? { deflateOnOom: false } : {}),
      ...(words["no-reporting"] === true ? { reporting: false } : {}),
    });
  },
  run: inflate,
};
