/**
 * Streams and memory that a meter counts: an addition a call, and a look at the clock.
 *
 * @module
 */
import type { SavedRegion } from "../../vmm/state/regions.ts";
import type { StreamSource } from "../../vmm/state/load_stream.ts";
import type { StreamSink } from "../../vmm/state/stream_writer.ts";
import type { StandingVm } from "../live/snapshot_stream.ts";
import type { Meter } from "./meter.ts";

/** Reads of less are not worth a look at the clock. */
const WORTH_A_LOOK = 4096;

/** Has a meter count the bytes that a sink takes. */
export function meteredSink(sink: StreamSink, meter: Meter): StreamSink {
  return {
    write(pieces) {
      const pending = sink.write(pieces);
      for (const { length } of pieces) meter.done += length;
      meter.tick();
      return pending;
    },
  };
}

/** Has a meter count the bytes that a source gives. */
export function meteredSource(source: StreamSource, meter: Meter): StreamSource {
  const counted = (count: number) => {
    meter.done += count;
    if (count >= WORTH_A_LOOK) meter.tick();
    return count;
  };
  return {
    read(into) {
      const pending = source.read(into);
      return typeof pending === "number" ? counted(pending) : pending.then(counted);
    },
  };
}

/** Has a meter count the bytes of chunks, once whoever asked for one asks for the next. */
export function* metered<Chunk extends { readonly length: number }>(
  chunks: Iterable<Chunk>,
  meter: Meter,
): Generator<Chunk> {
  for (const chunk of chunks) {
    yield chunk;
    meter.done += chunk.length;
    meter.tick();
  }
}

/** The same of chunks that are waited for. */
export async function* meteredAsync<Chunk extends { readonly length: number }>(
  chunks: AsyncIterable<Chunk>,
  meter: Meter,
): AsyncGenerator<Chunk> {
  for await (const chunk of chunks) {
    yield chunk;
    meter.done += chunk.length;
    meter.tick();
  }
}

/** A piece of a region. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Has a meter know how much of memory has been passed, what is zero or never written too: how many bytes a
 * stream will have is not known before its end.
 *
 * @param pieces Gives a region's pieces in order
 * @param regions All regions, which are taken in order
 * @param meter The meter
 * @param counts Whether the bytes of memory are what it counts
 * @returns The same pieces
 */
export function passedPieces(
  pieces: (region: SavedRegion) => Iterable<Piece>,
  regions: readonly SavedRegion[],
  meter: Meter,
  counts = false,
): (region: SavedRegion) => Generator<Piece> {
  const own = regions.filter(({ shared }) => shared === undefined);
  const total = sumOfSizes(own);
  return function* (region) {
    const before = sumOfSizes(own.slice(0, own.indexOf(region)));
    for (const piece of pieces(region)) {
      yield piece;
      if (counts) meter.done += piece.bytes.length;
      meter.fraction = (before + piece.offset) / total;
      meter.tick();
    }
    meter.fraction = (before + region.size) / total;
  };
}

function sumOfSizes(regions: readonly SavedRegion[]): number {
  return regions.reduce((sum, { size }) => sum + size, 0);
}

/** The same of a VM's memory, as a snapshot takes it. */
export function meteredVm(
  { state, memory, ...others }: StandingVm,
  meter: Meter,
  counts: boolean,
): StandingVm {
  return {
    state,
    ...others,
    memory: {
      pieces: passedPieces((region) => memory.pieces(region), state.regions, meter, counts),
      read: (address, length) => memory.read(address, length),
    },
  };
}
