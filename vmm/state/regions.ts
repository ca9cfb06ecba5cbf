/**
 * The regions of a saved machine's memory: what they are, and where their bytes are to come from.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { MemorySlot } from "../memory.ts";
import { field, objectOf } from "./json_fields.ts";

/** A region of guest-physical memory. */
export interface SavedRegion {
  /** Its name among the others: `ram0`, `rom0`; records of its memory are in the folder of that name. */
  readonly name: string;
  /** Guest-physical address. */
  readonly base: number;
  /** Bytes. */
  readonly size: number;
  /** Whether it is told to the guest as RAM. */
  readonly ram: boolean;
  /** Whether the guest's writes become exits. */
  readonly readonly: boolean;
  /** A file that the guest shares with others, by reference: its bytes are not saved. */
  readonly shared?: { readonly path: string; readonly offset: number };
}

/** Where the bytes of a region are already, to be mapped copy on write. */
export interface RegionFile {
  readonly fd: number;
  readonly offset: number;
  /** Bytes from there to its end. */
  readonly size: number;
}

/**
 * A machine's regions.
 *
 * @param slots Its memory
 */
export function savedRegions(slots: readonly MemorySlot[]): SavedRegion[] {
  const counts = new Map<string, number>();
  return slots.map(({ base, size, ram, readonly, shared }) => {
    const kind = ram ? "ram" : readonly ? "rom" : "file";
    const number = counts.get(kind) ?? 0;
    counts.set(kind, number + 1);
    return {
      name: `${kind}${number}`,
      ...{ base, size, ram, readonly },
      ...(shared === undefined ? {} : { shared }),
    };
  });
}

/**
 * Checks the regions that a stream tells of.
 *
 * @param json `state.memory` of its first record
 * @param where The record's name
 * @throws {DocumentError} Naming the key at fault
 */
export function regionsFromJson(json: Json | undefined, where: string): SavedRegion[] {
  if (!Array.isArray(json)) throw new DocumentError(`${where}, state.memory: is no array`);
  const names = new Set<string>();
  return json.map((entry, i) =>
    field(where, `state.memory[${i}]`, () => {
      const { name, base, size, ram, readonly, shared } = objectOf(entry);
      if (typeof name !== "string" || !/^[a-z]+[0-9]+$/.test(name) || names.has(name)) {
        throw new TypeError(`${JSON.stringify(name)} is no name for it`);
      }
      names.add(name);
      if (typeof ram !== "boolean" || typeof readonly !== "boolean") {
        throw new TypeError(`"ram" and "readonly" are true or false`);
      }
      return {
        ...{ name, ram, readonly },
        base: wholeNumber(base, "base"),
        size: wholeNumber(size, "size"),
        ...(shared === undefined ? {} : { shared: sharedFile(shared) }),
      };
    })
  );
}

function sharedFile(json: Json): { path: string; offset: number } {
  const { path, offset } = objectOf(json);
  if (typeof path !== "string") throw new TypeError(`"shared" has no path`);
  return { path, offset: wholeNumber(offset, "shared.offset") };
}

function wholeNumber(json: Json | undefined, key: string): number {
  if (typeof json === "number" && Number.isSafeInteger(json) && json >= 0) return json;
  throw new TypeError(`"${key}" is ${JSON.stringify(json)}, no whole number`);
}
