/**
 * Counts long work, and draws how far it has come where a person looks: from half a second on, at most ten
 * times a second, until the work is done.
 *
 * @module
 */
import { isWritable } from "../../ffi/writable.ts";
import { terminalLook } from "../terminal_look.ts";
import type { VerbContext } from "../verb.ts";
import { clearLine, drawLine } from "./drawn_line.ts";
import { progressLine, type ProgressState, summaryLine } from "./progress_line.ts";
import { TerminalTurn } from "./terminal_turn.ts";

/** Work that is done before has nothing to show. */
const FIRST_MILLISECONDS = 500;
const STDERR = 2;
const INTERVAL_MILLISECONDS = 100;
/** How much of the newest rate is in the one that is shown. */
const NEWEST = 0.2;

/** What is to be done. */
export interface Task extends Pick<ProgressState, "label" | "phase" | "unit" | "total" | "limit"> {
  /** The verb prints meanwhile: where a person reads that, there is no place for both. */
  readonly prints?: boolean;
}

/** Some work. What it counts may be set at any time; that is cheap. */
export class Meter implements Disposable {
  /** How many so far. */
  done = 0;
  /** What the task said, which may change on the way. */
  phase: string | undefined;
  total: number | undefined;
  /** How much of the work is done, from 0 to 1, where that is not known from the count. */
  fraction: number | undefined;
  readonly #task: Task;
  #start = performance.now();
  #end = Infinity;
  readonly #turn: TerminalTurn | undefined;
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  /** When to draw; never where nobody looks. */
  #due = Infinity;
  #rate = 0;
  #before = { done: 0, at: this.#start };
  readonly #note: (text: string) => void;

  /**
   * Begins.
   *
   * @param context Where the verb runs
   * @param task What is to be done
   */
  constructor(context: Pick<VerbContext, "progress" | "forPerson" | "note">, task: Task) {
    this.#task = task;
    this.phase = task.phase;
    this.total = task.total;
    this.#note = (text) => context.note(text);
    if (context.progress !== true || task.prints === true && context.forPerson === true) return;
    this.#turn = new TerminalTurn();
    this.#due = this.#start + FIRST_MILLISECONDS;
    this.#timer = setInterval(() => this.tick(), INTERVAL_MILLISECONDS);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  /** Draws if it is time to. Work that lets no timer run in between calls this now and then. */
  tick(): void {
    if (this.#due === Infinity) return;
    const now = performance.now();
    if (now >= this.#due) this.#draw(now);
  }

  /**
   * Begins another part of the work, whose count starts at 0.
   *
   * @param phase What it is
   * @param total How many there will be, if that is known
   */
  begin(phase: string, total?: number): void {
    this.phase = phase;
    this.total = total;
    this.fraction = undefined;
    this.done = 0;
    this.#start = performance.now();
    this.#before = { done: 0, at: this.#start };
  }

  /** Says how much was done in which time, if a person looks; once it is disposed. */
  summarize(): void {
    if (this.#turn !== undefined) this.#note(summaryLine(this.#state(this.#end)));
  }

  #draw(now: number): void {
    this.#due = now + INTERVAL_MILLISECONDS;
    const { done, at } = this.#before;
    const rate = (this.done - done) * 1000 / (now - at);
    // The first one has all that came before it.
    this.#rate = this.#rate === 0 ? rate : this.#rate + (rate - this.#rate) * NEWEST;
    this.#before = { done: this.done, at: now };
    // A terminal that stands still must not hold the work, and a VM, up.
    if (!this.#turn!.take() || !isWritable(STDERR)) return;
    drawLine(progressLine(this.#state(now), terminalLook().columns - 1));
  }

  #state(now: number): ProgressState {
    const { phase, done, total, fraction } = this;
    const milliseconds = now - this.#start;
    return { ...this.#task, phase, done, total, fraction, rate: this.#rate, milliseconds };
  }

  /** The work is over, or has failed. */
  [Symbol.dispose](): void {
    if (this.#end < Infinity) return;
    this.#end = performance.now();
    this.#due = Infinity;
    clearInterval(this.#timer);
    if (this.#turn?.taken && isWritable(STDERR)) clearLine();
    this.#turn?.[Symbol.dispose]();
  }
}
