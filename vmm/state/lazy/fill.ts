/**
 * What the thread does that brings a running machine's memory.
 *
 * @module
 */
import type { PageGiver, RegionPlace } from "./page_giver.ts";

/** A record that is no memory. */
export type StateRecord = readonly [name: string, content: Uint8Array<ArrayBuffer>];

/** Memory that is brought from somewhere, piece by piece. */
export interface Fill {
  /** The records of the state, without memory, once {@linkcode step} has said that they are there. */
  readonly state: readonly StateRecord[];
  /** The descriptor that has something when {@linkcode step} has work; undefined if it always has. */
  readonly waitsFor: number | undefined;
  /** The record that is being read, or was read last. */
  readonly at: string;
  /** For how many milliseconds nobody may ask for anything before {@linkcode step} is to read on. */
  readonly patience: number;
  /** The records that were asked for, in that order, if that is to be known. */
  readonly workingSet: readonly string[];
  /**
   * Reads on.
   *
   * @returns Whether the state is there, and later whether all of memory is
   * @throws {DocumentError} Naming the record at fault
   */
  step(): boolean;
  /**
   * The machine has its memory: pieces are given from now on.
   *
   * @param giver What to
   */
  begin(giver: PageGiver): void;
  /**
   * Somebody waits for a page.
   *
   * @param place Where
   */
  asked(place: RegionPlace): void;
  /** Nobody has asked for anything for as long as its patience is. */
  quiet(): void;
}
