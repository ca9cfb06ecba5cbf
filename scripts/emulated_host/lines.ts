/** Cuts a stream of bytes into lines. */

/**
 * Gives each line of a stream as soon as it is whole; an unfinished last line is dropped.
 *
 * @param stream UTF-8 bytes
 * @returns the lines without their line feeds
 */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
