/**
 * The descriptors that a command is given, by their numbers for it. They are real ones of this
 * process, which programs get as they are.
 *
 * @module
 */
import { isTerminal } from "../../ffi/terminal_modes.ts";

/** Descriptors by their numbers. */
export class Streams {
  readonly #descriptors: ReadonlyMap<number, number>;
  /** Whether stdin is worth reading to verbs: not a terminal, and not nothing. */
  readonly inputGiven: boolean;

  /**
   * @param descriptors This process's descriptors by the numbers that commands have for them
   * @param inputGiven Whether what is at stdin is meant for verbs
   */
  constructor(descriptors: ReadonlyMap<number, number>, inputGiven: boolean) {
    this.#descriptors = descriptors;
    this.inputGiven = inputGiven;
  }

  /** Them all. */
  get descriptors(): ReadonlyMap<number, number> {
    return this.#descriptors;
  }

  /**
   * @param number A command's number
   * @returns This process's; undefined if it is closed
   */
  get(number: number): number | undefined {
    return this.#descriptors.get(number);
  }

  /**
   * Changes one.
   *
   * @param number A command's number
   * @param descriptor This process's; undefined closes it
   * @returns The others with that
   */
  with(number: number, descriptor: number | undefined): Streams {
    const descriptors = new Map(this.#descriptors);
    if (descriptor === undefined) descriptors.delete(number);
    else descriptors.set(number, descriptor);
    return new Streams(descriptors, number === 0 ? descriptor !== undefined : this.inputGiven);
  }

  /**
   * Changes some back.
   *
   * @param numbers A command's numbers
   * @param before What they are to be again
   * @returns The others with those
   */
  restored(numbers: readonly number[], before: Streams): Streams {
    if (numbers.length === 0) return this;
    const descriptors = new Map(this.#descriptors);
    for (const number of numbers) {
      const descriptor = before.get(number);
      if (descriptor === undefined) descriptors.delete(number);
      else descriptors.set(number, descriptor);
    }
    return new Streams(descriptors, (numbers.includes(0) ? before : this).inputGiven);
  }

  /**
   * @param number A command's number
   * @returns Whether a terminal is there
   */
  isTerminal(number: number): boolean {
    const descriptor = this.get(number);
    return descriptor !== undefined && isTerminal(descriptor);
  }
}
