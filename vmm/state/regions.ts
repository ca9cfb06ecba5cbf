/**
 * The regions of a saved machine's memory: what they are, and where their bytes are to come from.
 *
 * @module
 */
import { DocumentError, VmError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { changedBacking, placeBacking } from "../backing.ts";
import type { MemorySlot } from "../memory_slot.ts";
import { field, objectOf, shown } from "./json_fields.ts";

/** As many slots as each KVM since Linux 3.15 has for users (KVM_USER_MEM_SLOTS). */
const MOST_REGIONS = 509;
const NAME = /^[a-z]{1,16}[0-9]{1,4}$/;

/** A file of the host in guest memory. */
export interface SharedFile {
  readonly path: string;
  /** Where in it the region starts, in bytes. */
  readonly offset: number;
  /** Which file it is, as {@linkcode placeBacking} tells. */
  readonly inode?: string;
  readonly born?: string;
}

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
  readonly shared?: SharedFile;
}

/** Where the bytes of a region are already, to be mapped copy on write. */
export interface RegionFile {
  readonly fd: number;
  readonly offset: number;
  /** Bytes from there to its end. */
  readonly size: number;
}

/**
 * The names of a machine's regions.
 *
 * @param slots Its memory
 * @returns A name for each, in order
 */
export function regionNames(slots: readonly MemorySlot[]): string[] {
  const counts = new Map<string, number>();
  return slots.map(({ ram, readonly }) => {
    const kind = ram ? "ram" : readonly ? "rom" : "file";
    const number = counts.get(kind) ?? 0;
    counts.set(kind, number + 1);
    return `${kind}${number}`;
  });
}

/**
 * A machine's regions.
 *
 * @param slots Its memory
 */
export function savedRegions(slots: readonly MemorySlot[]): SavedRegion[] {
  const names = regionNames(slots);
  return slots.map((slot, i) => {
    const { base, size, ram, readonly } = slot;
    const shared = sharedBy(slot);
    return {
      name: names[i]!,
      ...{ base, size, ram, readonly },
      ...(shared === undefined ? {} : { shared }),
    };
  });
}

/**
 * Looks that files in guest memory are those that were there, before anything is written to them.
 *
 * @param regions What a stream says
 * @param slots What there is
 * @throws {VmError} Naming the region and the file
 */
export function requireShared(
  regions: readonly SavedRegion[],
  slots: readonly MemorySlot[],
): void {
  for (const { name, base, shared } of regions) {
    if (shared === undefined) continue;
    const is = slots.filter((slot) => slot.base === base).map(sharedBy);
    const changed = changedBacking([{ ...shared }], is.filter((file) => file !== undefined));
    if (changed === undefined) continue;
    throw new VmError(
      `${name}: ${changed.path} is not what it was when the state was taken: ${changed.why}`,
      { hint: "--force takes it as it is" },
    );
  }
}

function sharedBy({ shared, file }: MemorySlot) {
  if (shared === undefined) return undefined;
  return { ...shared, ...(file === undefined ? {} : placeBacking(file.fd, shared.path)) };
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
  if (json.length > MOST_REGIONS) {
    throw new DocumentError(
      `${where}, state.memory: has ${json.length} regions, more than ${MOST_REGIONS}`,
    );
  }
  const names = new Set<string>();
  return json.map((entry, i) =>
    field(where, `state.memory[${i}]`, () => {
      const { name, base, size, ram, readonly, shared } = objectOf(entry);
      if (typeof name !== "string" || !NAME.test(name) || names.has(name)) {
        throw new TypeError(`${shown(name)} is no name for it`);
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

function sharedFile(json: Json): SharedFile {
  const { path, offset, inode, born } = objectOf(json);
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError(`"shared" has no path`);
  }
  return {
    path,
    offset: wholeNumber(offset, "shared.offset"),
    ...(typeof inode === "string" ? { inode } : {}),
    ...(typeof born === "string" ? { born } : {}),
  };
}

function wholeNumber(json: Json | undefined, key: string): number {
  if (typeof json === "number" && Number.isSafeInteger(json) && json >= 0) return json;
  throw new TypeError(`"${key}" is ${shown(json)}, no whole number`);
}
