/**
 * A VMM that runs ring_guest.c, and stands still while others are measured: the guest looks at its
 * serial port and its rings all the time.
 *
 * @module
 */
import type { Subject } from "./result.ts";
import { VmmProcess } from "./vmm_process.ts";

/** Of an answer; many times what the longest measurement takes. */
const LIMIT_MILLISECONDS = 20_000;
/** How far apart two looks at the counter are that its rate is found by. */
const CALIBRATION_MILLISECONDS = 200;

/** What a guest did. */
export interface RingWork {
  /** How many requests, frames or bytes. */
  readonly count: number;
  readonly seconds: number;
}

/** A VMM with the guest in it. */
export class RingVm implements AsyncDisposable {
  readonly #process: VmmProcess;
  #ticksPerSecond = 0;

  private constructor(process: VmmProcess) {
    this.#process = process;
  }

  /**
   * Starts one, and waits for its guest.
   *
   * @param subject Who it is
   * @param command Program and arguments; the guest's serial port is its stdin and stdout
   * @param signal Ends it at once
   * @returns It, standing still
   * @throws {Error} With the VMM's words, if the guest does not come up
   */
  static async start(
    subject: Subject,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<RingVm> {
    const process = new VmmProcess(subject, command, LIMIT_MILLISECONDS, signal);
    const vm = new RingVm(process);
    try {
      const ready = await process.line();
      if (ready !== "ready") throw new Error(`The guest in ${subject} began by "${ready}"`);
      await vm.#calibrate();
      process.stop();
      return vm;
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Lets the guest carry out a command.
   *
   * @param command A line of ring_guest.c's language
   * @returns Its answer
   * @throws {Error} If it says why not
   */
  async ask(command: string): Promise<string> {
    this.#process.go();
    await this.#process.say(command);
    const answer = await this.#process.line();
    this.#process.stop();
    if (answer.startsWith("!")) {
      const { subject } = this.#process;
      throw new Error(`The guest in ${subject} says to "${command}": ${answer.slice(1)}`);
    }
    return answer;
  }

  /**
   * Has the guest measure.
   *
   * @param command A command that answers with a count and ticks
   * @returns What it did
   */
  async work(command: string): Promise<RingWork> {
    const [count, ticks] = (await this.ask(command)).split(" ").slice(-2).map(Number);
    return { count: count!, seconds: ticks! / this.#ticksPerSecond };
  }

  /**
   * Turns a time into the guest's.
   *
   * @param milliseconds The time
   * @returns Ticks of its time-stamp counter
   */
  ticks(milliseconds: number): number {
    return Math.round(this.#ticksPerSecond * milliseconds / 1000);
  }

  /** Finds how fast the counter goes, between looks that take much less time than lies between. */
  async #calibrate(): Promise<void> {
    const look = async () => {
      await this.#process.say("now");
      const [, ticks] = (await this.#process.line()).split(" ").map(Number);
      return { ticks: ticks!, time: performance.now() };
    };
    const first = await look();
    await new Promise((done) => setTimeout(done, CALIBRATION_MILLISECONDS));
    const second = await look();
    this.#ticksPerSecond = (second.ticks - first.ticks) / (second.time - first.time) * 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
