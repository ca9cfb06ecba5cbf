/**
 * The person's side of a console: input from a terminal in raw mode or from a pipe, output that
 * never blocks the process, and the terminal put back on every way out.
 *
 * @module
 */
import type { Machine } from "../../vmm/machine.ts";

/** Ends the console: Ctrl-], as telnet and virsh have it. */
const ESCAPE = 0x1d;

/** Where a console's input comes from. */
export interface ConsoleInput {
  /** What is read. */
  readonly file: { read(buffer: Uint8Array): Promise<number | null> };
  /** Puts it into raw mode and back; left out if it is no terminal. */
  readonly setRaw?: (raw: boolean) => void;
}

/**
 * The input of a console that shares its process with a document or image on stdin.
 *
 * @param stdinFree Whether stdin is not taken by a document or an image
 * @returns stdin, else the terminal if stdout is one, else nothing
 */
export function consoleInput(stdinFree: boolean): ConsoleInput | undefined {
  if (stdinFree) {
    if (!Deno.stdin.isTerminal()) return { file: Deno.stdin };
    return { file: Deno.stdin, setRaw: (raw) => Deno.stdin.setRaw(raw) };
  }
  if (!Deno.stdout.isTerminal()) return undefined;
  try {
    const file = Deno.openSync("/dev/tty");
    return { file, setRaw: (raw) => file.setRaw(raw) };
  } catch {
    return undefined; // no terminal controls this process
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
  const raw = input.setRaw !== undefined && Deno.stdout.isTerminal();
  if (raw) {
    note("hvsh: the console is yours; Ctrl-] ends the VM");
    input.setRaw(true);
  }
  const feed = async () => {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await input.file.read(buffer);
      if (count === null) return;
      const bytes = buffer.slice(0, count);
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

/**
 * Writes console output to stdout without holding the event loop up.
 *
 * @param bytes What the guest wrote
 */
export async function writeConsole(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await Deno.stdout.write(bytes.subarray(done));
}
