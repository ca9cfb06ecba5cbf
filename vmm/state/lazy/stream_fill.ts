/**
 * Memory from a stream that comes as it does: what is asked for before it has come waits. Its records lie
 * as they do in memory, so that what lies before the last of them and has none is zero.
 *
 * @module
 */
import { DocumentError } from "../../../ffi/errors.ts";
import type { DescriptorSource } from "../descriptor_stream.ts";
import { isState } from "../record_names.ts";
import { StreamReader, type StreamTarget } from "../stream_reader.ts";
import type { Fill, StateRecord } from "./fill.ts";
import { GRANULE, placeOf, requirePages, WITHOUT_LAZY } from "./memory_place.ts";
import type { PageGiver, RegionPlace } from "./page_giver.ts";

/** Bytes of the state's records. */
const MOST_KEPT = 2 ** 29;

/** A stream's memory. */
export class StreamFill implements Fill, StreamTarget {
  readonly state: StateRecord[] = [];
  readonly waitsFor: number | undefined;
  readonly patience = 0;
  readonly workingSet: readonly string[] = [];
  readonly #source: DescriptorSource;
  readonly #reader: StreamReader;
  #giver: PageGiver | undefined;
  #staging = new Uint8Array(GRANULE);
  /** The record whose bytes are coming. */
  #piece: { readonly name: string; readonly size: number } | undefined;
  #place: RegionPlace = { region: 0, offset: 0 };
  #kept = 0;

  /**
   * @param source The stream
   * @param options `edited` takes records that somebody has changed; `waitsFor` is its descriptor if that
   *   can be waited for
   */
  constructor(
    source: DescriptorSource,
    options: { readonly edited: boolean; readonly waitsFor: number | undefined },
  ) {
    this.#source = source;
    this.#reader = new StreamReader(this, options);
    this.waitsFor = options.waitsFor;
  }

  get at(): string {
    return this.#reader.at;
  }

  step(): boolean {
    const count = this.#source.read(this.#reader.place);
    if (count === 0) this.#reader.close();
    this.#reader.advance(count);
    return this.#reader.done || this.#giver === undefined && this.#piece !== undefined;
  }

  begin(giver: PageGiver): void {
    this.#giver = giver;
    this.#settle();
  }

  asked({ region, offset }: RegionPlace): void {
    const { region: last, offset: end } = this.#place;
    if (region > last || region === last && offset >= end) return; // it waits
    const start = offset - offset % GRANULE;
    const limit = region === last ? end : this.#giver!.regions[region]!.size;
    const size = Math.min(GRANULE, limit - start);
    this.#giver!.giveZeros({ region, offset: start }, size);
  }

  quiet(): void {}

  record(name: string, content: Uint8Array<ArrayBuffer>): void {
    if (this.#piece !== undefined) {
      if (!isState(name)) return;
      throw new DocumentError(`${name} comes after memory, where it is too late`, {
        hint: WITHOUT_LAZY,
      });
    }
    this.#kept += content.length;
    if (this.#kept > MOST_KEPT) {
      throw new DocumentError(`${name}: the stream's records have more than ${MOST_KEPT} bytes`);
    }
    this.state.push([name, content]);
  }

  memory(name: string, size: number): Uint8Array {
    requirePages(name, size);
    if (size > this.#staging.length) this.#staging = new Uint8Array(size);
    this.#piece = { name, size };
    this.#settle();
    return this.#staging.subarray(0, size);
  }

  memoryDone(_name: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#giver!.give(this.#place, bytes);
    const { region, offset } = this.#place;
    this.#place = { region, offset: offset + bytes.length };
  }

  /** Looks where the piece belongs, once that is known. */
  #settle(): void {
    if (this.#giver === undefined || this.#piece === undefined) return;
    const { name, size } = this.#piece;
    const place = placeOf(name, size, this.#giver.regions);
    const last = this.#place;
    if (place.region < last.region || place.region === last.region && place.offset < last.offset) {
      throw new DocumentError(`${name} comes after what lies behind it in memory`, {
        hint: WITHOUT_LAZY,
      });
    }
    this.#place = place;
  }
}
