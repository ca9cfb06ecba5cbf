/**
 * Where a record of memory belongs whose machine runs already: pages are given whole, and once.
 *
 * @module
 */
import { DocumentError } from "../../../ffi/errors.ts";
import { parseMemoryName } from "../record_names.ts";
import type { ArrivingRegion, RegionPlace } from "./page_giver.ts";

/** The page size. */
export const PAGE = 4096;
/** What is given at once where nothing is but zeros, and as much as hvsh writes into a record. */
export const GRANULE = 65536;
/** A record is read whole before its pages are given. */
export const MOST_PIECE = 2 ** 26;

/** The next step for whoever has a stream that can't be taken so. */
export const WITHOUT_LAZY = "`hvsh restore` without --lazy takes it";

/**
 * Looks that a record can be given.
 *
 * @param name Its name
 * @param size Its bytes
 * @throws {DocumentError} If it is no whole pages, or too many
 */
export function requirePages(name: string, size: number): void {
  const offset = parseMemoryName(name)?.offset ?? 0;
  if (size > MOST_PIECE) {
    throw new DocumentError(`${name} has ${size} bytes, more than ${MOST_PIECE}`, {
      hint: WITHOUT_LAZY,
    });
  }
  if (offset % PAGE === 0 && size % PAGE === 0) return;
  throw new DocumentError(`${name} has ${size} bytes, which are no whole pages`, {
    hint: WITHOUT_LAZY,
  });
}

/**
 * Where a record belongs.
 *
 * @param name Its name
 * @param size Its bytes
 * @param regions The machine's regions
 * @throws {DocumentError} If there is no such place
 */
export function placeOf(
  name: string,
  size: number,
  regions: readonly ArrivingRegion[],
): RegionPlace {
  const place = parseMemoryName(name);
  const region = regions.findIndex((region) => region.name === place?.region);
  if (region < 0) throw new DocumentError(`${name} is of no region`);
  const { offset } = place!;
  if (offset + size <= regions[region]!.size) return { region, offset };
  throw new DocumentError(`${name} has ${size} bytes, past the end of ${place!.region}`);
}
