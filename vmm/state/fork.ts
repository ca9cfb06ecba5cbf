/**
 * Copies of a machine: their memory is the original's, mapped copy on write, their vCPUs and devices go
 * on from where its are. What must differ between two machines on a host differs: name, MAC, vsock's
 * number and socket, what is written to disks, and the generation ID.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { closeFile, duplicate } from "../../ffi/files.ts";
import type { DeviceEntry, VmDocument } from "../document.ts";
import { Machine } from "../machine.ts";
import type { DeviceRecord } from "./device_state.ts";
import { type MachineSnapshot, restoreMachine, saveMachine } from "./machine_state.ts";
import { type RegionFile, regionNames } from "./regions.ts";

/** What copies are made from, for as long as it is not disposed of; those that were made stay. */
export interface ForkSource extends Disposable {
  readonly snapshot: MachineSnapshot;
  /** The memory, by regions' names. */
  readonly files: ReadonlyMap<string, RegionFile>;
}

/** What a copy is to have of its own. */
export interface ForkOptions {
  /** Its name; none if left out. */
  readonly name?: string;
  /** Keys of devices' entries, by the device's name. */
  readonly set?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Numbers that a VM's vsock may have: the host's and others below, "any" above (virtio 1.2 §5.10.4). */
const LEAST_CID = 3;
const CIDS = 2 ** 31 - LEAST_CID;

/**
 * Makes a machine ready to be copied: its memory stays for them as it is now, whatever becomes of it.
 *
 * @param machine The machine; with disks that it writes it must be paused, and stays so as long as
 *   copies have them
 * @returns What copies are made from; dispose it when that is done
 * @throws {VmError} If it can't be copied
 */
export async function forkSource(machine: Machine): Promise<ForkSource> {
  await machine.filled;
  return await machine.freeze((frozen) => {
    // Only now: a disk may have come, or somebody had it go on, while others looked into it.
    if (machine.state !== "paused" && (machine.description.devices ?? []).some(isWrittenDisk)) {
      throw new VmError("A VM with disks that it writes can be forked only while it is paused", {
        hint: "hvsh pause NAME | hvsh fork",
      });
    }
    const snapshot = saveMachine(machine, frozen);
    const names = regionNames(machine.slots);
    const files = new Map<string, RegionFile>();
    // The machine gives its own ones back once it has others.
    using opened = new DisposableStack();
    for (const [i, file] of machine.lend().entries()) {
      if (file === undefined) continue;
      const fd = duplicate(file.fd);
      opened.defer(() => closeFile(fd));
      files.set(names[i]!, { fd, offset: file.offset, size: machine.slots[i]!.size });
    }
    const kept = opened.move();
    return { snapshot, files, [Symbol.dispose]: () => kept.dispose() };
  });
}

/**
 * Makes a copy.
 *
 * @param source What {@linkcode forkSource} gave
 * @param options What it has of its own
 * @returns The machine, not started
 * @throws {DocumentError} If the options make no sense for it
 * @throws {HostError} If the host can't provide it
 */
export async function forkMachine(
  { snapshot, files }: ForkSource,
  options: ForkOptions = {},
): Promise<Machine> {
  const document = copyOf(snapshot.document, options);
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(
    await Machine.resumed(document, {
      regions: snapshot.regions,
      files,
      ...(snapshot.fwCfg === undefined ? {} : { fwCfg: snapshot.fwCfg }),
    }),
  );
  const devices = snapshot.devices.map(ownIdentity);
  await restoreMachine(machine, { ...snapshot, document, devices });
  stack.move();
  return machine;
}

/**
 * The document of a copy.
 *
 * @param document The original's
 * @param options What the copy has of its own
 */
export function copyOf(document: VmDocument, { name, set = {} }: ForkOptions): VmDocument {
  const { name: _, ...others } = document;
  const devices = (document.devices ?? []).map((entry) => ({
    ...copyOfDevice(entry, name),
    ...set[entry.name ?? ""],
  }));
  return { ...others, ...(name === undefined ? {} : { name }), devices };
}

/**
 * The state of a copy's device: what would be the same for two machines is its document's.
 *
 * @param record The original's
 */
export function ownIdentity(record: DeviceRecord): DeviceRecord {
  if (record.type !== "net" || typeof record.state !== "object" || record.state === null) {
    return record;
  }
  const { mac: _, ...state } = record.state as Record<string, DeviceRecord[string]>;
  return { ...record, state } as DeviceRecord;
}

function copyOfDevice(entry: DeviceEntry, name: string | undefined): DeviceEntry {
  switch (entry.type) {
    case "net":
      return { ...entry, mac: randomMac() };
    case "vsock":
      return {
        ...entry,
        cid: LEAST_CID + random(CIDS),
        path: `${entry.path}-${name ?? random(2 ** 32).toString(16)}`,
      };
    case "disk": {
      if (!isWrittenDisk(entry)) return entry;
      const { cache: _, ...others } = entry; // overlays go through the page cache
      return { ...others, overlay: "temporary" };
    }
    default:
      return entry;
  }
}

function isWrittenDisk({ type, readonly }: DeviceEntry): boolean {
  return type === "disk" && readonly !== true;
}

/** An address that nobody has been given by a maker (IEEE 802, U/L bit), with QEMU's and KVM's prefix. */
function randomMac(): string {
  const own = [random(256), random(256), random(256)];
  return [0x52, 0x54, 0, ...own].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function random(below: number): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! % below;
}
