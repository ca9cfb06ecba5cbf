/**
 * `vms/NAME/`
 *
 * @module
 */
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import { configFile } from "./config_file.ts";
import { consoleLogFile } from "./console_log_file.ts";
import { ctlFile, statusFile } from "./ctl_file.ts";
import { deviceFolder } from "./device_folder.ts";
import { memoryFile } from "./memory_file.ts";
import type { Asker, FolderNode, Node } from "./node.ts";
import { symbolsFile } from "./symbols_file.ts";
import { type FolderTable, namedFolder, tableFolder } from "./table_folder.ts";
import { flatKeyed, textFile } from "./text_file.ts";
import { vcpuFolder } from "./vcpu_folder.ts";
import type { VmPlace } from "./vm_place.ts";
import { consoleFile, eventsFile, exitsFile, snapshotFile } from "./vm_streams.ts";

const live = (place: VmPlace) => place.live;
const begun = (place: VmPlace) => place.live || place.state === "ended";

/** A file of text that the owner is asked for. */
const asked = (path: string, read: (place: VmPlace, asker: Asker) => Promise<string>) =>
(
  place: VmPlace,
): Node => textFile({ read: (asker) => place.attempt(path, () => read(place, asker)) });

const TABLE: FolderTable<VmPlace> = {
  ctl: { help: "write a word to it; reads those that are valid now", node: ctlFile },
  status: { help: "how it is, a key a line", node: statusFile },
  "config.json": { help: "its document; write it before it runs", node: configFile },
  memory: { help: "guest-physical memory, to seek in", there: live, node: memoryFile },
  map: {
    help: "memory by ranges: access, caching, first and last address + 1, kind, offset",
    there: live,
    node: asked("map", mapText),
  },
  vcpus: { help: "a folder for each vCPU", there: live, node: vcpusFolder },
  console: {
    help: "what it says from now on, and what is typed; <> waits, tail -f follows",
    there: live,
    node: consoleFile,
  },
  "console.log": { help: "what it has said", there: begun, node: consoleLogFile },
  devices: { help: "a folder for each device", there: live, node: devicesFolder },
  exits: {
    help: "exits from KVM as JSON lines, while it is open; <> waits, tail -f follows",
    there: live,
    node: exitsFile,
  },
  events: {
    help: "what happens to it as JSON lines; <> waits, tail -f follows",
    there: live,
    node: eventsFile,
  },
  stats: { help: "what KVM counts of it, a key a line", there: live, node: asked("stats", stats) },
  snapshot: {
    help: "its whole state, a tar archive; it stands while that is read",
    there: live,
    node: snapshotFile,
  },
  error_log: {
    help: "what was refused here, with a caret under the word at fault",
    node: (place) => textFile({ read: () => place.tree.errors.below(`vms/${place.name}/`) }),
  },
  symbols: { help: "addresses and names of its kernel", there: live, node: symbolsFile },
};

/**
 * The folder of a VM.
 *
 * @param place The VM
 */
export function vmFolder(place: VmPlace): FolderNode {
  return tableFolder(TABLE, place, `VM ${place.name}`);
}

async function stats(place: VmPlace, asker: Asker): Promise<string> {
  const { records } = await place.ask("watch.figures", {}, asker) as { records: FigureRecord[] };
  return flatKeyed(records.find(({ part }) => part === "vm")?.figures ?? {});
}

async function mapText(place: VmPlace): Promise<string> {
  const { slots } = await place.memory();
  return slots.map(({ base, size, ram, readonly, shared }) => {
    const kind = shared === undefined ? ram ? "ram" : readonly ? "rom" : "device" : shared.path;
    const words = [
      readonly ? "r-x" : "rwx",
      "wb",
      `0x${base.toString(16)}`,
      `0x${(base + size).toString(16)}`,
      kind,
      `0x${(shared?.offset ?? 0).toString(16)}`,
    ];
    return words.join(" ") + "\n";
  }).join("");
}

function vcpusFolder(vm: VmPlace): Node {
  const nodes = new Map<number, Node>();
  const count = async () => (await vm.description()).cpus;
  return namedFolder({
    names: async () => Array.from({ length: await count() }, (_, cpu) => String(cpu)),
    find: async (name) => {
      if (!/^(0|[1-9]\d*)$/.test(name) || Number(name) >= await count()) return undefined;
      const cpu = Number(name);
      if (!nodes.has(cpu)) nodes.set(cpu, vcpuFolder({ vm, cpu }));
      return nodes.get(cpu);
    },
  }, "A folder for each vCPU, by its number");
}

function devicesFolder(vm: VmPlace): Node {
  const list = async () => await vm.devices();
  return namedFolder({
    names: async () => (await list()).map(({ name }) => name),
    find: async (name) => {
      const found = (await list()).find((device) => device.name === name);
      if (found === undefined) return undefined;
      const { devices = [] } = JSON.parse(await Deno.readTextFile(vm.directory.config)) as {
        devices?: DeviceEntry[];
      };
      const entry = devices.find((device) => device.name === name);
      return deviceFolder({ vm, name, type: found.type, entry });
    },
  }, "A folder for each device, by its name");
}
