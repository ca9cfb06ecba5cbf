/**
 * The person's side of a console: input from a terminal in raw mode or from a pipe, and the terminal
 * put back on every way out.
 *
 * @module
 */
import type { PersonTerminal, VerbContext } from "../verb.ts";
import type { Escape } from "./escape.ts";
import { TerminalGuard } from "./terminal_guard.ts";

/** Where a console's input comes from. */
export interface ConsoleInput {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Puts it into raw mode and back; left out if it is no terminal. */
  readonly setRaw?: (raw: boolean) => void;
}

/** Where it goes. */
export interface ConsolePerson {
  /** Gives it to the guest; resolves when that has taken it. */
  send(bytes: Uint8Array): Promise<void>;
  /** The key that leaves the console. */
  readonly escape: Escape;
  /** What that does, for the person: `ends the VM`. */
  readonly leaving: string;
  /** Called when it has been typed. */
  left(): void;
  /** Says something to the person. */
  note(text: string): void;
}

/**
 * The input of a console that shares its stage with a document or an image.
 *
 * @param stdinFree Whether the stage's bytes are not taken by a document or an image
 * @param context Where the verb runs
 * @returns The stage's bytes, else the person's terminal, else nothing
 */
export function consoleInput(stdinFree: boolean, context: VerbContext): ConsoleInput | undefined {
  if (stdinFree && context.bytes !== undefined) return { chunks: context.bytes };
  const { terminal } = context;
  if (terminal === undefined) return undefined;
  return {
    chunks: typed(terminal),
    ...(terminal.setRaw === undefined ? {} : { setRaw: (raw) => terminal.setRaw!(raw) }),
  };
}

async function* typed(terminal: PersonTerminal): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await terminal.read(buffer);
    if (count === null) return;
    yield buffer.slice(0, count);
  }
}

/**
 * Feeds input to a console until its end, or until the escape is typed on a terminal.
 *
 * @param input Where from
 * @param person Where to
 * @returns A function that puts the terminal back; a second time it does nothing
 */
export function attachInput(input: ConsoleInput, person: ConsolePerson): () => void {
  const { setRaw } = input;
  const { byte, name } = person.escape;
  let guard: TerminalGuard | undefined;
  if (setRaw !== undefined) {
    guard = new TerminalGuard();
    setRaw(true); // before it is said: what is typed from then on is the guest's
    const how = byte === undefined ? "" : `; ${name} ${person.leaving}`;
    person.note(`hvsh: the console is yours${how}`);
  }
  const feed = async () => {
    for await (const bytes of input.chunks) {
      const at = setRaw === undefined || byte === undefined ? -1 : bytes.indexOf(byte);
      if (at !== 0) await person.send(at < 0 ? bytes : bytes.subarray(0, at));
      if (at < 0) continue;
      person.left();
      return;
    }
  };
  feed().catch((error) => person.note(`hvsh: the console's input: ${error.message}`));
  return () => {
    if (guard === undefined) return;
    setRaw!(false);
    guard[Symbol.dispose]();
    guard = undefined;
  };
}
