/**
 * Where a verb or a built-in of the shell runs.
 *
 * @module
 */
import { showsProgress, terminalLook } from "../terminal_look.ts";
import type { PersonTerminal, TerminalLook, VerbContext } from "../verb.ts";
import type { Channel, Output } from "./channel.ts";
import { bytesOf, objectsOf } from "./input.ts";
import { DescriptorOutput } from "./output.ts";
import type { Session } from "./session.ts";
import type { Streams } from "./streams.ts";

/** What a stage has to the left and the right of it. */
export interface StagePlace {
  readonly session: Session;
  readonly streams: Streams;
  /** A verb before it, which hands it objects. */
  readonly from?: Channel | undefined;
  /** A verb behind it. */
  readonly to?: Channel | undefined;
  /** Aborts when the person interrupts the line. */
  readonly signal: AbortSignal;
}

/** A stage's context. */
export class StageContext implements VerbContext {
  readonly shared = true;
  readonly signal: AbortSignal;
  /** Where it writes. */
  readonly output: Output;
  readonly #place: StagePlace;

  /** @param place What is around it */
  constructor(place: StagePlace) {
    this.#place = place;
    this.output = place.to ?? new DescriptorOutput(place.streams.get(1), "stdout", place.signal);
    const { gone } = this.output;
    this.signal = AbortSignal.any([place.signal, gone.aborted ? soon(gone) : gone]);
  }

  get input(): AsyncIterable<unknown> | undefined {
    const { from } = this.#place;
    if (from !== undefined) return from.objects();
    const descriptor = this.#given;
    return descriptor === undefined ? undefined : objectsOf(descriptor, this.signal);
  }

  get bytes(): AsyncIterable<Uint8Array> | undefined {
    const { from } = this.#place;
    if (from !== undefined) return from.bytes();
    const descriptor = this.#given;
    return descriptor === undefined ? undefined : bytesOf(descriptor, this.signal);
  }

  get #given(): number | undefined {
    const { streams } = this.#place;
    return streams.inputGiven && !streams.isTerminal(0) ? streams.get(0) : undefined;
  }

  emit(value: unknown): Promise<void> {
    return this.output.emit(value);
  }

  print(text: string): Promise<void> {
    return this.output.print(text);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.output.write(bytes);
  }

  readonly note = (text: string): void => {
    this.#place.session.note(text, this.#place.streams);
  };

  get stderr(): number {
    return this.#place.streams.get(2) ?? -1;
  }

  get forPerson(): boolean {
    return this.#place.to === undefined && this.#place.streams.isTerminal(1);
  }

  get look(): TerminalLook | undefined {
    return this.forPerson ? terminalLook() : undefined;
  }

  get progress(): boolean {
    return this.terminal !== undefined && this.#place.streams.isTerminal(2) && showsProgress();
  }

  get terminal(): PersonTerminal | undefined {
    const { terminal } = this.#place.session;
    if (terminal === undefined || this.forPerson) return terminal;
    // Who types blindly, since the output goes elsewhere, types whole lines.
    return { read: (buffer) => terminal.read(buffer) };
  }

  get cwd(): string {
    return this.#place.session.cwd;
  }
}

/** A reader that went before its writer began: the writer hears of it once it listens. */
function soon({ reason }: AbortSignal): AbortSignal {
  const late = new AbortController();
  setTimeout(() => late.abort(reason));
  return late.signal;
}
