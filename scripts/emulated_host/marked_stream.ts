/** The end of a stream inside another: bytes up to a mark that the other side put there. */

/**
 * Copies a stream up to a mark. Bytes are passed on at once, except those that may be the
 * beginning of the mark.
 *
 * @param source where the bytes come from
 * @param mark what ends them; it is not passed on
 * @param write takes each piece, in order
 * @returns true if the mark came, false if the stream ended without it
 */
export async function copyToMark(
  source: ReadableStream<Uint8Array>,
  mark: Uint8Array,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<boolean> {
  let held: Uint8Array = new Uint8Array();
  for await (const chunk of source) {
    const bytes = held.length === 0 ? chunk : concat(held, chunk);
    const at = markPosition(bytes, mark);
    if (at > 0) await write(bytes.subarray(0, at));
    if (bytes.length - at >= mark.length) return true;
    held = bytes.slice(at);
  }
  if (held.length > 0) await write(held);
  return false;
}

/** Where the mark, or a tail that it may begin with, starts; the length if nowhere. */
function markPosition(bytes: Uint8Array, mark: Uint8Array): number {
  const first = mark[0] ?? 0;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    const length = Math.min(mark.length, bytes.length - at);
    let same = 1;
    while (same < length && bytes[at + same] === mark[same]) same++;
    if (same === length) return at;
  }
  return bytes.length;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
