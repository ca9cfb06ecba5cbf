/**
 * What runs while the shell goes on: lists that `&` has started.
 *
 * @module
 */
import { sendSignal } from "../../ffi/spawn.ts";
import { HostError, UsageError } from "../../ffi/errors.ts";

const SIGCONT = 18;
/** Exit status of what a signal has ended: 128 and its number. */
const BY_SIGNAL = 128;

/** A list that runs in the background. */
export class Job {
  /** Its number, as `%1` has it. */
  readonly id: number;
  /** The line it was started by. */
  readonly text: string;
  /** Its programs that run. */
  readonly programs = new Set<number>();
  /** The process that `$!` names, where it is one. */
  pid: number | undefined;
  /** Its exit status, once it has ended. */
  status: number | undefined;
  /** Ends what runs in this process. */
  readonly controller = new AbortController();
  /** A signal has stopped its programs. */
  stopped = false;
  /** The process group of its programs. */
  group: number | undefined;
  #running = false;
  readonly #begun = Promise.withResolvers<void>();
  #ended: Promise<number> = Promise.resolve(0);

  /**
   * @param id Its number
   * @param text The line
   */
  constructor(id: number, text: string) {
    this.id = id;
    this.text = text;
  }

  /** Resolves when its first command runs. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Its exit status, when it has ended. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  /** How it is. */
  get state(): string {
    if (this.status !== undefined) return this.status === 0 ? "Done" : `Done(${this.status})`;
    return this.stopped ? "Stopped" : "Running";
  }

  /**
   * Says that its first command runs; a second time it says nothing new.
   *
   * @param pid The process that the job is, if it is one
   */
  begin(pid?: number): void {
    if (this.#running) return;
    this.#running = true;
    this.pid = pid;
    this.#begun.resolve();
  }

  /**
   * @param run Gives its exit status
   * @param ended Called when it has ended
   */
  watch(run: Promise<number>, ended: () => void): void {
    this.#ended = run.then((status) => {
      this.status = status;
      this.#begun.resolve();
      ended();
      return status;
    });
  }

  /**
   * Sends a signal to its programs, and ends what runs in this process if that is what it asks for.
   *
   * @param signal The signal's number
   * @param ends Whether it is one that ends programs
   */
  kill(signal: number, ends: boolean): void {
    for (const pid of this.programs) {
      try {
        sendSignal(pid, signal);
      } catch (error) {
        if (!(error instanceof HostError)) throw error; // it has ended
      }
    }
    if (ends) this.controller.abort(BY_SIGNAL + signal);
  }

  /** Has its programs go on. */
  resume(): void {
    this.stopped = false;
    this.kill(SIGCONT, false);
  }
}

/** The jobs of a shell. */
export class Jobs {
  readonly #jobs: Job[] = [];
  /** Called when one has ended. */
  onEnd: (job: Job) => void = () => {};

  /** Them all, in the order of their numbers. */
  get all(): readonly Job[] {
    return this.#jobs;
  }

  /** Those that have not ended. */
  get running(): readonly Job[] {
    return this.#jobs.filter(({ status }) => status === undefined);
  }

  /**
   * Adds one.
   *
   * @param text The line it was started by
   * @returns It, not yet running
   */
  add(text: string): Job {
    const id = (this.#jobs.at(-1)?.id ?? 0) + 1;
    const job = new Job(id, text);
    this.#jobs.push(job);
    return job;
  }

  /** Forgets one. */
  remove(job: Job): void {
    const at = this.#jobs.indexOf(job);
    if (at >= 0) this.#jobs.splice(at, 1);
  }

  /**
   * Finds one: `%1`, `%%` and `%+` for the last, `%-` for the one before, `%text` for the one that
   * starts so, or the number of its process.
   *
   * @param word How it is named; the last one if left out
   * @returns It
   * @throws {UsageError} If there is none
   */
  find(word = "%%"): Job {
    const found = this.#find(word);
    if (found !== undefined) return found;
    throw new UsageError(word === "%%" ? "There is no job" : `There is no job ${word}`, {
      hint: "jobs",
    });
  }

  #find(word: string): Job | undefined {
    if (/^[0-9]+$/.test(word)) return this.#jobs.find(({ pid }) => pid === Number(word));
    const name = word.slice(1);
    if (name === "" || name === "%" || name === "+") return this.#jobs.at(-1);
    if (name === "-") return this.#jobs.at(-2) ?? this.#jobs.at(-1);
    if (/^[0-9]+$/.test(name)) return this.#jobs.find(({ id }) => id === Number(name));
    return this.#jobs.findLast(({ text }) => text.startsWith(name));
  }
}
