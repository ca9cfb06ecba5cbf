/**
 * What fw_cfg hands out, as a record of a stream:
 *
 *     { "items": [{ "key": "0x…", "data": base64 }], "files": [{ "name": …, "data": base64 }] }
 *
 * @module
 */
import type { Json } from "../../ffi/struct.ts";
import type { FwCfgConfig } from "../devices/fw_cfg.ts";
import { base64, bytesOfBase64, field, hex, objectOf, wideNumber } from "./json_fields.ts";

const MOST_ENTRIES = 1024;
/** What a `struct FWCfgFile` has room for, before a NUL. */
const FILE_NAME = /^[\x20-\x7e]{1,55}$/;

/**
 * The items and files as JSON.
 *
 * @param config The device's configuration
 */
export function fwCfgToJson(config: Readonly<Record<string, unknown>>): Record<string, Json> {
  const { items, files } = config as unknown as FwCfgConfig;
  const text = (data: SharedArrayBuffer) => base64(new Uint8Array(data));
  return {
    items: items.map(({ key, data }) => ({ key: hex(key), data: text(data) })),
    files: files.map(({ name, data }) => ({ name, data: text(data) })),
  };
}

/**
 * The device's configuration from JSON.
 *
 * @param json The record
 * @param where Its name
 * @throws {DocumentError} Naming the key at fault
 */
export function fwCfgFromJson(json: Json, where: string): Record<string, unknown> {
  const list = (key: string) =>
    field(where, key, () => {
      const entries = objectOf(json)[key];
      if (!Array.isArray(entries)) throw new TypeError("is no array");
      if (entries.length > MOST_ENTRIES) {
        throw new TypeError(`has ${entries.length} entries, more than ${MOST_ENTRIES}`);
      }
      return entries.map((entry) => {
        const { name, key, data } = objectOf(entry);
        const bytes = bytesOfBase64(data);
        const shared = new SharedArrayBuffer(bytes.length);
        new Uint8Array(shared).set(bytes);
        return { name, key, data: shared };
      });
    });
  return {
    items: list("items").map(({ key, data }) => ({
      key: field(where, "items", () => Number(wideNumber(key, 16))),
      data,
    })),
    files: list("files").map(({ name, data }) =>
      field(where, "files", () => {
        if (typeof name !== "string" || !FILE_NAME.test(name)) {
          throw new TypeError("has a bad name");
        }
        return { name, data };
      })
    ),
  };
}
