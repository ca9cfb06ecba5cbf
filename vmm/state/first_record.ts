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
  const { version, memory, id, base, time: _, ...unknown } = fields;
  if (version !== STREAM_VERSION) {
    const newer = typeof version === "number" && version > STREAM_VERSION;
    throw new DocumentError(
      `${FIRST}: the stream has version ${shown(version)}, not ${STREAM_VERSION}`,
      { hint: newer ? "a newer hvsh reads it" : "`hvsh snapshot` writes streams" },
    );
  }
  return {
    document: parseDocument(document, FIRST),
    regions: regionsFromJson(memory, FIRST),
    id: field(FIRST, "state.id", () => optionalText(id)),
    base: field(FIRST, "state.base", () => optionalText(base)),
    unknown,
  };
}

function optionalText(json: Json | undefined): string | undefined {
  if (json === undefined || typeof json === "string") return json;
  throw new TypeError(`is ${shown(json)}, not text`);
}
