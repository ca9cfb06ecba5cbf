/**
 * `create`: a document to start from.
 *
 * @module
 */
import { cpuCount, memorySize } from "../amounts.ts";
import { UsageError } from "../../ffi/errors.ts";
import { MAX_IO_THREADS } from "../../vmm/board.ts";
import type { Verb, Words } from "../verb.ts";
import { vmName } from "../vm_name.ts";

const REBOOTS = ["exit", "restart"] as const;
const DEFAULT_MEMORY = 256 * 2 ** 20;

/**
 * What a document says of its I/O threads.
 *
 * @param words The words of `create`
 * @throws {UsageError} If it is no such count
 */
export function ioThreads(words: Words): { ioThreads?: number } {
  const count = words["io-threads"];
  if (count === undefined) return {};
  if (Number.isInteger(count) && count as number >= 1 && count as number <= MAX_IO_THREADS) {
    return { ioThreads: count as number };
  }
  throw new UsageError(`--io-threads: ${count} is not a number from 1 to ${MAX_IO_THREADS}`);
}

/** What a document says of resets by the guest. */
export function reboot(words: Words): { reboot?: typeof REBOOTS[number] } {
  return words.reboot === undefined ? {} : { reboot: words.reboot as typeof REBOOTS[number] };
}

/** The row of the table. */
export const verb: Verb = {
  name: "create",
  summary: "Start a VM document: memory, CPUs, a serial port",
  description:
    "Writes the document of a PC with RAM, CPUs and one serial port. The verbs behind it say what " +
    "boots.",
  group: "build",
  flags: {
    memory: { short: "m", value: "size", metavar: "SIZE", help: "RAM (256M)" },
    cpus: { short: "c", value: "number", metavar: "N", help: "How many CPUs (1)" },
    name: { short: "n", value: "text", metavar: "NAME", help: "The VM's name" },
    "io-threads": {
      value: "number",
      metavar: "N",
      help: "Threads that the devices' I/O is spread over (1)",
    },
    reboot: {
      value: REBOOTS,
      metavar: "exit|restart",
      help: "What the guest's own reset does: end the VM, or start it anew (exit)",
    },
  },
  arguments: [],
  inline: { flags: ["memory", "cpus", "name", "io-threads", "reboot"] },
  reads: "nothing",
  writes: "document",
  examples: [
    {
      line: "hvsh create -m 64M -n web",
      prints: '{"vm":1,"name":"web","memory":[{"type":"ram","size":67108864}],"cpus":1,' +
        '"devices":[{"type":"serial","name":"serial0"}]}\n',
    },
    { line: "hvsh create | jq .cpus", prints: "1\n" },
  ],
  build: (document, words) => ({
    ...document,
    ...(words.name === undefined ? {} : { name: vmName(words.name as string) }),
    memory: [{ type: "ram", size: memorySize(words.memory as number ?? DEFAULT_MEMORY) }],
    cpus: cpuCount(words.cpus as number ?? 1),
    ...ioThreads(words),
    ...reboot(words),
    devices: [{ type: "serial", name: "serial0" }],
  }),
};
