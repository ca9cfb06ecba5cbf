/**
 * `vm.json`, a stream's first record: the document, and under "state" what else belongs to the whole.
 *
 *     { "vm": 1, "name": …, "devices": […], …
 *       "state": { "version": 1, "time": "2026-…", "memory": [{ "name": "ram0", "base": 0, … }],
 *                  "id": "…", "base": "…" } }
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { parseDocument, type VmDocument } from "../document.ts";
import { field, objectOf, parseRecord, shown } from "./json_fields.ts";
import type { SavedDisk } from "./disk_content.ts";
import { isDiskName } from "./record_names.ts";
import { regionsFromJson, type SavedRegion } from "./regions.ts";
import { STREAM_VERSION } from "./save_stream.ts";

/** The record's name. */
export const FIRST = "vm.json";

/** What it says. */
export interface FirstRecord {
  readonly document: VmDocument;
  readonly regions: readonly SavedRegion[];
  /** Which snapshot it is. */
  readonly id: string | undefined;
  /** The snapshot that it has the changes of, in place of a whole one. */
  readonly base: string | undefined;
  /** Disks whose contents are in the stream. */
  readonly disks: readonly SavedDisk[];
  /** Keys of "state" that nobody knows. */
  readonly unknown: Record<string, Json>;
}

/**
 * Reads it.
 *
 * @param content Its bytes
 * @throws {DocumentError} Naming the key at fault, or if the stream's version is not this one
 */
export function readFirstRecord(content: Uint8Array): FirstRecord {
  const json = field(FIRST, "the record", () => objectOf(parseRecord(FIRST, content)));
  const { state, ...document } = json;
  const fields = field(FIRST, "state", () => objectOf(state));
  const { version, memory, id, base, disks, time: _, ...unknown } = fields;
  if (version !== STREAM_VERSION) {
    const newer = typeof version === "number" && version > STREAM_VERSION;
    throw new DocumentError(
      `${FIRST}: the stream has version ${shown(version)}, not ${STREAM_VERSION}`,
      { hint: newer ? "a newer hvsh reads it" : "`hvsh snapshot` writes streams" },
    );
  }
  const parsed = parseDocument(document, FIRST);
  return {
    document: parsed,
    disks: field(FIRST, "state.disks", () => disksFromJson(disks, parsed)),
    regions: regionsFromJson(memory, FIRST),
    id: field(FIRST, "state.id", () => optionalText(id)),
    base: field(FIRST, "state.base", () => optionalText(base)),
    unknown,
  };
}

function disksFromJson(json: Json | undefined, { devices = [] }: VmDocument): SavedDisk[] {
  if (json === undefined) return [];
  if (!Array.isArray(json)) throw new TypeError("is no array");
  const disks = json.map((entry) => {
    const { name, size } = objectOf(entry);
    const disk = devices.find((device) => device.type === "disk" && device.name === name);
    if (typeof name !== "string" || disk === undefined || !isDiskName(name)) {
      throw new TypeError(`has ${shown(name)}, which is no disk of the machine`);
    }
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
      throw new TypeError(`${name}: size is ${shown(size)}, no whole number`);
    }
    return { name, size };
  });
  if (new Set(disks.map(({ name }) => name)).size === disks.length) return disks;
  throw new TypeError("has a disk twice");
}

function optionalText(json: Json | undefined): string | undefined {
  if (json === undefined || typeof json === "string") return json;
  throw new TypeError(`is ${shown(json)}, not text`);
}
