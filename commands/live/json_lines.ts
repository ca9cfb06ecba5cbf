/**
 * Messages of a control socket: JSON, one a line.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { formatSize } from "../../vmm/size.ts";

/** A client that sends a longer line is cut off. */
const MAX_LINE = 1 << 20;
/** An owner's answers are as long as its VM's state is. */
export const MOST_ANSWER = 2 ** 30;

/**
 * Writes a message.
 *
 * @param connection Where to
 * @param message What
 */
export async function writeMessage(connection: Deno.Conn, message: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(message) + "\n");
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

/**
 * Reads lines until the other side is gone.
 *
 * @param connection Where from
 * @param most Characters of a line at most; 1 MiB if left out
 * @returns Each line that is not empty
 * @throws {VmError} If one is longer
 */
export async function* lines(
  connection: Deno.Conn,
  most: number = MAX_LINE,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(65536);
  /** What there is of a line whose end has not come: put together once, when it has. */
  let begun: string[] = [];
  let length = 0;
  for (;;) {
    const count = await connection.read(chunk);
    if (count === null) return;
    const pieces = decoder.decode(chunk.subarray(0, count), { stream: true }).split("\n");
    const rest = pieces.pop()!;
    if (pieces.length > 0) {
      pieces[0] = [...begun, pieces[0]].join("");
      begun = [];
      length = 0;
    }
    begun.push(rest);
    length += rest.length;
    if (length > most) throw new VmError(`A message is longer than ${formatSize(most)}`);
    yield* pieces.filter((line) => line !== "");
  }
}
