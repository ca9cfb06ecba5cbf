/**
 * `devices/NAME/`
 *
 * @module
 */
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import { heldRecord } from "./held_record.ts";
import type { FolderNode } from "./node.ts";
import { type FolderTable, tableFolder } from "./table_folder.ts";
import { flatKeyed, textFile } from "./text_file.ts";
import { LineError, type VmPlace } from "./vm_place.ts";

/** A device. */
export interface DevicePlace {
  readonly vm: VmPlace;
  readonly name: string;
  readonly type: string;
  /** What the document says of it, if it does. */
  readonly entry: DeviceEntry | undefined;
}

/** What devices of a type can be told. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  balloon: ["target SIZE"],
  console: ["size COLSxROWS"],
  disk: ["resize [SIZE]"],
  net: ["link up", "link down"],
  pm: ["powerbutton"],
  serial: ["break"],
  vsock: ["transport-reset"],
};

const TABLE: FolderTable<DevicePlace> = {
  type: { help: "what it is", node: ({ type }) => textFile({ read: () => `${type}\n` }) },
  path: {
    help: "the file, folder or socket behind it",
    there: ({ entry }) => typeof entry?.path === "string",
    node: ({ entry }) => textFile({ read: () => `${entry!.path}\n` }),
  },
  ro: {
    help: "1 if it is never written",
    there: ({ type, entry }) => type === "disk" && entry !== undefined,
    node: ({ entry }) => textFile({ read: () => `${entry!.readonly === true ? 1 : 0}\n` }),
  },
  stats: {
    help: "what it has done, a key a line",
    node: ({ vm, name }) =>
      textFile({
        read: (asker) =>
          vm.attempt(`devices/${name}/stats`, async () => {
            const { records } = await vm.ask("watch.figures", {}, asker) as {
              records: FigureRecord[];
            };
            const own = records.find(({ part, id }) => part === "device" && id === name);
            return flatKeyed(own?.figures ?? {});
          }),
      }),
  },
  state: {
    help: "its saved state as JSON; the VM is held for that moment",
    node: ({ vm, name }) =>
      textFile({
        read: (asker) =>
          vm.attempt(`devices/${name}/state`, async () => {
            const record = await heldRecord(vm, `dev/${name}.json`, asker);
            return JSON.stringify(record, undefined, 1) + "\n";
          }),
      }),
  },
  ctl: {
    help: "write a word; reads those that it takes",
    node: (place) =>
      textFile({
        read: () => (WORDS[place.type] ?? []).map((line) => `${line}\n`).join(""),
        write: (text, asker) =>
          place.vm.attempt(
            `devices/${place.name}/ctl`,
            async () => {
              for (const line of text.split("\n").filter((line) => line.trim() !== "")) {
                const [action, ...rest] = line.trim().split(/\s+/);
                const value = rest.length === 0 ? {} : { value: rest.join(" ") };
                const params = { device: place.name, action, ...value };
                if (await place.vm.ask("device.act", params, asker) === true) continue;
                const hint = WORDS[place.type]?.join(", ");
                const column = line.search(/\S/);
                throw new LineError(`${place.name} does not take that`, { line, column }, hint);
              }
            },
            text,
          ),
      }),
  },
};

/**
 * The folder of a device.
 *
 * @param place The device
 */
export function deviceFolder(place: DevicePlace): FolderNode {
  return tableFolder(TABLE, place, `The ${place.type} ${place.name} of VM ${place.vm.name}`);
}
