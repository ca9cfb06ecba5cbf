/**
 * Samples gathered by call stack, with names in place of addresses.
 *
 * @module
 */
import type { StackMode, StackSample } from "../../vmm/debug/profile.ts";

/** What an address is called. */
export interface AddressName {
  readonly name: string;
  /** The kernel module that it is in. */
  readonly module?: string;
}

/** Names an address; undefined if nobody knows it. */
export type NameAddress = (address: bigint) => AddressName | undefined;

/** One level of a call stack. */
export interface StackFrame {
  /** The function, `name` or `name [module]`; the address, where it is not known; `[idle]`. */
  readonly name: string;
  /** Where in it; left out of frames that are no code. */
  readonly address?: bigint;
}

/** Samples that stood at the same place, called from the same places. */
export interface CallStack {
  /** The outermost first. */
  readonly frames: readonly StackFrame[];
  readonly mode: StackMode;
  /** CR3 of user code, which tells processes apart; 0 for the kernel's. */
  readonly cr3: bigint;
  /** How many samples. */
  readonly samples: number;
}

/** The function that most samples stood in. */
export interface HotFunction {
  /** Share of all samples. */
  readonly percent: number;
  readonly samples: number;
  readonly mode: StackMode;
  readonly function: string;
  /** Of user code. */
  readonly cr3?: string;
}

/** The frame of a vCPU that is halted, below what halted it. */
const IDLE = "[idle]";

/** The samples of one profile. */
export class CallStacks {
  readonly #name: NameAddress;
  readonly #root: string | undefined;
  readonly #names = new Map<bigint, string>();
  readonly #stacks = new Map<string, { stack: Omit<CallStack, "samples">; samples: number }>();
  #total = 0;

  /**
   * @param name Names addresses
   * @param root What each stack begins with: the VM, where there are several
   */
  constructor(name: NameAddress, root?: string) {
    this.#name = name;
    this.#root = root;
  }

  /** How many samples there are. */
  get total(): number {
    return this.#total;
  }

  /**
   * Adds a sample.
   *
   * @param sample Where a vCPU stood
   */
  add(sample: Pick<StackSample, "frames" | "mode" | "cr3">): void {
    this.#total++;
    const { mode, frames } = sample;
    const cr3 = mode === "user" ? sample.cr3 : 0n;
    const key = `${mode} ${cr3} ${frames.join()}`;
    const known = this.#stacks.get(key);
    if (known !== undefined) {
      known.samples++;
      return;
    }
    const named: StackFrame[] = frames.map((address, i) => ({
      // A return address may be the next function's first, so the call before it is what counts.
      name: this.#functionOf(i === 0 ? address : address - 1n, address),
      address,
    })).reverse();
    if (mode === "idle") named.push({ name: IDLE });
    if (mode === "user") named.unshift({ name: `[user 0x${cr3.toString(16)}]` });
    if (this.#root !== undefined) named.unshift({ name: this.#root });
    this.#stacks.set(key, { stack: { frames: named, mode, cr3 }, samples: 1 });
  }

  /** The stacks, those with most samples first. */
  get stacks(): CallStack[] {
    return [...this.#stacks.values()]
      .map(({ stack, samples }) => ({ ...stack, samples }))
      .sort((a, b) => b.samples - a.samples);
  }

  /** The functions that samples stood in, those with most first. */
  get hottest(): HotFunction[] {
    const functions = new Map<string, Omit<HotFunction, "percent"> & { samples: number }>();
    for (const { frames, mode, cr3, samples } of this.#stacks.values().map(flat)) {
      const name = frames.findLast(({ address }) => address !== undefined)!.name;
      const key = `${mode} ${cr3} ${name}`;
      const known = functions.get(key);
      const process = mode === "user" ? { cr3: `0x${cr3.toString(16)}` } : {};
      if (known === undefined) functions.set(key, { samples, mode, function: name, ...process });
      else functions.set(key, { ...known, samples: known.samples + samples });
    }
    return [...functions.values()]
      .sort((a, b) => b.samples - a.samples)
      .map((hot) => ({ percent: Math.round(hot.samples / this.#total * 1e4) / 100, ...hot }));
  }

  #functionOf(where: bigint, address: bigint): string {
    const known = this.#names.get(where);
    if (known !== undefined) return known;
    const found = this.#name(where);
    const name = found === undefined
      ? `0x${address.toString(16)}`
      : found.module === undefined
      ? found.name
      : `${found.name} [${found.module}]`;
    this.#names.set(where, name);
    return name;
  }
}

function flat({ stack, samples }: { stack: Omit<CallStack, "samples">; samples: number }) {
  return { ...stack, samples };
}
