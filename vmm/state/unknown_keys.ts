/**
 * Keys of a stream that this version does not know: they stay with the machine, and are in its next
 * snapshot as they were.
 *
 * @module
 */
import type { Json } from "../../ffi/struct.ts";
import type { Machine } from "../machine.ts";
import type { DeviceRecord } from "./device_state.ts";

/** An object of JSON. */
type JsonObject = { [key: string]: Json };

/** What nobody knows of a stream. */
export interface UnknownKeys {
  /** Keys of `state` in vm.json. */
  readonly state: JsonObject;
  /** What devices' records have besides, by the device's name. */
  readonly devices: ReadonlyMap<string, JsonObject>;
}

const keptBy = new WeakMap<Machine, UnknownKeys>();

/**
 * Keeps what nobody knows with a machine.
 *
 * @param machine The machine
 * @param keys What
 */
export function keepUnknown(machine: Machine, keys: UnknownKeys): void {
  keptBy.set(machine, keys);
}

/**
 * What {@linkcode keepUnknown} was told of a machine.
 *
 * @param machine The machine
 */
export function unknownOf(machine: Machine): UnknownKeys | undefined {
  return keptBy.get(machine);
}

/**
 * What records say beyond what is known.
 *
 * @param records Devices' records, of a stream
 * @param known The same devices' records, as this version writes them
 */
export function unknownKeys(
  records: readonly DeviceRecord[],
  known: readonly DeviceRecord[],
): Map<string, JsonObject> {
  const unknown = new Map<string, JsonObject>();
  for (const record of records) {
    const own = known.find(({ name }) => name === record.name);
    const more = own === undefined ? undefined : beyond(record, own);
    if (more !== undefined) unknown.set(record.name, { ...more, type: record.type });
  }
  return unknown;
}

/**
 * A device's record with what nobody knows; a device of another kind has got nothing to do with it.
 *
 * @param record The record
 * @param unknown What {@linkcode unknownKeys} gave for its name
 */
export function withUnknown(record: DeviceRecord, unknown: JsonObject | undefined): DeviceRecord {
  if (unknown === undefined || unknown.type !== record.type) return record;
  return joined(record, unknown) as DeviceRecord;
}

/** The keys of an object, and of objects in it, that another has not. */
function beyond(json: JsonObject, known: JsonObject): JsonObject | undefined {
  const more = Object.entries(json).flatMap(([key, value]): [string, Json][] => {
    if (!Object.hasOwn(known, key)) return [[key, value]];
    const own = known[key]!;
    const inner = isObject(value) && isObject(own) ? beyond(value, own) : undefined;
    return inner === undefined ? [] : [[key, inner]];
  });
  return more.length === 0 ? undefined : Object.fromEntries(more);
}

function joined(known: JsonObject, more: JsonObject): JsonObject {
  const entries = Object.entries(more).map(([key, value]): [string, Json] => {
    const own = Object.hasOwn(known, key) ? known[key] : undefined;
    if (own === undefined) return [key, value];
    return [key, isObject(own) && isObject(value) ? joined(own, value) : own];
  });
  return { ...known, ...Object.fromEntries(entries) };
}

function isObject(json: Json): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
