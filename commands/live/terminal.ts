/**
 * The person's side of a console: input from a terminal in raw mode or from a pipe, and the terminal
 * put back on every way out.
 *
 * @module
 */
import type { Machine } from "../../vmm/machine.ts";
import type { PersonTerminal, VerbContext } from "../verb.ts";

/** Ends the console: Ctrl-], as telnet and virsh have it. */
const ESCAPE = 0x1d;

/** Where a console's input comes from. */
export interface ConsoleInput {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Puts it into raw mode and back; left out if it is no terminal. */
  readonly setRaw?: (raw: boolean) => void;
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
 * Feeds input to a machine until it ends.
 *
 * @param machine The VM
 * @param input Where from
 * @param note Says something to the person
 * @returns A function that puts the terminal back
 */
export function attachInput(
  machine: Machine,
  input: ConsoleInput,
  note: (text: string) => void,
): () => void {
  const raw = input.setRaw !== undefined;
  if (raw) {
    note("hvsh: the console is yours; Ctrl-] ends the VM");
    input.setRaw(true);
  }
  const feed = async () => {
    for await (const bytes of input.chunks) {
      const escape = raw ? bytes.indexOf(ESCAPE) : -1;
      if (escape >= 0) {
        await machine.stop();
        return;
      }
      await machine.console.send(bytes);
    }
  };
  feed().catch((error) => note(`hvsh: the console's input: ${error.message}`));
  return () => {
    if (raw) input.setRaw!(false);
  };
}
