/**
 * The state of a machine's devices as JSON, a record each, and back:
 *
 *     { "name": "net0", "type": "net",
 *       "state": { "mac": "52:54:00:12:34:56", … },        the device's own registers
 *       "transport": { "status": 15, … }, "queues": [ … ],  of a virtio device
 *       "slot": 3, "pci": { "command": 7, … },              of one on the PCI bus
 *       "backing": [{ "path": …, "inode": …, … }],          files of the host behind it
 *       "kept": … }                                         what it keeps beside its registers
 *
 * A record is read leniently: what it does not say is as after power-on, what nobody knows is left out
 * of account. What it does say is checked: it may come from anywhere.
 *
 * @module
 */
import { DocumentError, VmError } from "../../ffi/errors.ts";
import type { Json, StructInstance } from "../../ffi/struct.ts";
import { changedBacking } from "../backing.ts";
import type { OpenDevice } from "../device_set.ts";
import { PciFunctionState } from "../pci/bus.ts";
import type { FrozenMachine } from "../standstill.ts";
import { VirtioState } from "../virtio/transport_state.ts";
import { objectOf } from "./json_fields.ts";

/** An object of JSON. */
type JsonObject = { [key: string]: Json };

/** One device's record. */
export type DeviceRecord = JsonObject & { readonly name: string; readonly type: string };

/** What of a transport is found out again, or stands in `queues`. */
const LEFT_OUT_OF_TRANSPORT = ["queues", "connected", "bar_base", "bar_decoded", "resetting"];
/** What of a queue is found out again. */
const LEFT_OUT_OF_QUEUE = ["live", "epoch", "seen_avail_idx"];
/** What of a function's registers is nothing, or is cut to the vectors that there are. */
const LEFT_OUT_OF_FUNCTION = ["reserved", "msix_table"];

/**
 * Reads the devices' state.
 *
 * @param frozen The machine, frozen
 * @returns A record for each device, in order
 */
export function saveDevices({ devices, kept }: FrozenMachine): DeviceRecord[] {
  return devices.devices.map((open) =>
    devices.locked(open, () => {
      const outside = kept.get(open.name);
      const backing = open.device.backing?.();
      return {
        name: open.name,
        type: open.type,
        ...stateOf(open),
        ...(open.slot === undefined ? {} : { slot: open.slot, pci: functionOf(open) }),
        ...(backing === undefined ? {} : { backing }),
        ...(outside === undefined ? {} : { kept: outside }),
      };
    })
  );
}

/**
 * Writes the devices' state: of a machine that was made from the same document and not started.
 *
 * @param frozen The machine, frozen
 * @param records A record for each device, by name; a device without one stays as it is
 * @param moved Whether it is the one machine that goes on elsewhere, no copy of it
 * @throws {DocumentError} If a record is not its device's, or can't be; the machine is of no use then
 */
export function restoreDevices(
  frozen: FrozenMachine,
  records: ReadonlyMap<string, Json>,
  moved = false,
): void {
  const { devices, kept } = frozen;
  for (const open of devices.devices) {
    const json = records.get(open.name);
    if (json === undefined) continue;
    devices.locked(open, (device) =>
      naming(open, () => {
        const record = objectOf(json);
        requireSame(record, "type", open.type);
        if (open.slot !== undefined) requireSame(record, "slot", open.slot);
        writeState(open, record);
        if (open.slot !== undefined && record.pci !== undefined) {
          assign(new PciFunctionState(open.pciState), record.pci, "pci");
        }
        device.restored?.(moved);
        if (open.slot !== undefined) devices.restoreFunction(open.slot);
        if (record.kept !== undefined) kept.set(open.name, record.kept);
      }));
  }
}

/**
 * Looks that what stands behind the devices is what stood there, before any of it is written.
 *
 * @param frozen The machine, frozen
 * @param records The devices' records
 * @param named Names of the devices whose files somebody has named for this machine
 * @throws {VmError} Naming the device and the file
 */
export function requireBacking(
  { devices }: FrozenMachine,
  records: readonly DeviceRecord[],
  named: ReadonlySet<string>,
): void {
  for (const { name, device } of devices.devices) {
    const backing = device.backing?.();
    if (backing === undefined || named.has(name)) continue;
    const was = records.find((record) => record.name === name)?.backing;
    const changed = changedBacking(was, backing);
    if (changed === undefined) continue;
    const { path, why } = changed;
    throw new VmError(`${name}: ${path} is not what it was when the state was taken: ${why}`, {
      hint: `--set ${name}.path=… names another; --force takes it as it is`,
    });
  }
}

function stateOf({ kind, state, events }: OpenDevice): JsonObject {
  const all = new kind.state(state).toJSON();
  if (kind.virtio === undefined) return { state: all };
  const { transport, device } = all as { transport: JsonObject; device: Json };
  const queues = (transport.queues as JsonObject[]).slice(0, events);
  return {
    state: device,
    transport: without(transport, LEFT_OUT_OF_TRANSPORT),
    queues: queues.map((queue) => without(queue, LEFT_OUT_OF_QUEUE)),
  };
}

function functionOf({ pciState, device }: OpenDevice): JsonObject {
  const all = new PciFunctionState(pciState).toJSON();
  const vectors = device.pci?.msix?.vectors ?? 0;
  return {
    ...without(all, LEFT_OUT_OF_FUNCTION),
    msix_table: (all.msix_table as Json[]).slice(0, vectors),
  };
}

function writeState({ kind, state }: OpenDevice, record: JsonObject): void {
  const all = new kind.state(state);
  if (kind.virtio === undefined) {
    if (record.state !== undefined) assign(all, record.state, "state");
    return;
  }
  const { transport, device } = all as unknown as Record<"transport" | "device", StructInstance>;
  if (record.state !== undefined) assign(device, record.state, "state");
  if (record.transport !== undefined) {
    assign(transport, without(objectOf(record.transport), LEFT_OUT_OF_TRANSPORT), "transport");
  }
  if (record.queues === undefined) return;
  const queues = Array.isArray(record.queues)
    ? record.queues.map((queue) => without(objectOf(queue), LEFT_OUT_OF_QUEUE))
    : record.queues;
  const field = VirtioState.fields.queues;
  const place = transport.offset + VirtioState.offsets.queues;
  const now = field.toJson(field.get(transport.view, place));
  field.fromJson(transport.view, place, merged(now, queues), "queues");
}

/** Writes what a record says of a struct. */
function assign(target: StructInstance, json: Json, path: string): void {
  const type = target.constructor as unknown as { fromJson: (...args: unknown[]) => void };
  const known = merged(target.toJSON(), objectOf(json));
  type.fromJson(target.view, target.offset, known, path);
}

/** What a record says, in the shape of what there is: the rest of that stays as it is. */
function merged(there: Json, json: Json): Json {
  if (Array.isArray(there) && Array.isArray(json) && json.length <= there.length) {
    return there.map((item, i) => i < json.length ? merged(item, json[i]!) : item);
  }
  if (!isObject(there) || !isObject(json)) return json;
  return Object.fromEntries(
    Object.entries(there).map((
      [key, value],
    ) => [key, Object.hasOwn(json, key) ? merged(value, json[key]!) : value]),
  );
}

function isObject(json: Json): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function without(json: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key)));
}

function requireSame(record: JsonObject, key: string, value: string | number): void {
  if (record[key] === value) return;
  throw new TypeError(`${key} is ${JSON.stringify(record[key])}, but the machine has ${value}`);
}

/** Says whose record it is that is wrong. */
function naming<T>({ name }: OpenDevice, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new DocumentError(`Device ${name}: ${error.message}`, { cause: error });
  }
}
