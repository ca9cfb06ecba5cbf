/**
 * What a machine's thread and the one that brings its memory say to each other.
 *
 * @module
 */
import type { StateRecord } from "./fill.ts";
import type { ArrivingRegion } from "./page_giver.ts";

/** Words that both threads share. */
export const Word = { PHASE: 0, HEARD: 1, STOPPED: 2 } as const;

/** What has become of the machine. */
export const Phase = {
  /** It is being made. */
  MADE: 0,
  /** It may run. */
  RUNS: 1,
  /** Its memory did not come before it could. */
  FAILED: 2,
} as const;

/** What the Worker is told. */
export type FillOrder =
  | {
    readonly kind: "read";
    /** The stream's descriptor, which becomes the Worker's. */
    readonly fd: number;
    /** What it is, for errors. */
    readonly path: string;
    readonly edited: boolean;
    /** Records that are to be read first; `new` if they are to be found out. */
    readonly workingSet?: readonly string[] | "new";
    /** An eventfd: it is to end. */
    readonly stop: number;
    readonly words: Int32Array;
  }
  | {
    readonly kind: "fill";
    /** The userfaultfd's descriptor. */
    readonly faults: number;
    readonly regions: readonly ArrivingRegion[];
  }
  | { readonly kind: "end" };

/** What it says. */
export type FillReport =
  | { readonly kind: "state"; readonly records: readonly StateRecord[] }
  | { readonly kind: "filled"; readonly workingSet: readonly string[] }
  | {
    readonly kind: "failed";
    /** Whether the stream is at fault. */
    readonly document: boolean;
    readonly message: string;
    readonly hint?: string;
  }
  /** It has let go of everything. */
  | { readonly kind: "ended" };
