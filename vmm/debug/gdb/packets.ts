/**
 * The packets of GDB's Remote Serial Protocol (GDB manual, appendix E.1):
 *
 *     $data#cs    a packet; cs is the sum of the data's bytes modulo 256, in two hex digits
 *     + -         it came whole, or send it again
 *     0x03        ^C
 *
 * Within a packet `}` escapes the byte behind it, which is XORed with 0x20. What comes is anybody's: a
 * packet is bounded, and what is no packet is skipped.
 *
 * @module
 */

/** Bytes of a packet's data at most, in either direction. */
export const PACKET_SIZE = 0x4000;

const DOLLAR = 0x24;
const HASH = 0x23;
const PLUS = 0x2b;
const MINUS = 0x2d;
const STAR = 0x2a;
const ESCAPE = 0x7d;
const INTERRUPT = 0x03;
const FLIP = 0x20;

/** What came. */
export type Incoming =
  | { readonly kind: "packet"; readonly data: Uint8Array<ArrayBuffer> }
  /** A packet whose sum is wrong, or which is too long. */
  | { readonly kind: "damaged" }
  | { readonly kind: "ack" }
  | { readonly kind: "nak" }
  | { readonly kind: "interrupt" };

/** Takes packets out of a stream of bytes. */
export class PacketReader {
  /** The data so far, as it was sent; undefined outside of a packet. */
  #data: number[] | undefined;
  #sum = 0;
  /** The first digit of the sum, once `#` has come. */
  #digits: number[] | undefined;
  #tooLong = false;

  /**
   * Takes more of the stream.
   *
   * @param bytes What came
   * @returns What is whole now, in order
   */
  push(bytes: Uint8Array): Incoming[] {
    const found: Incoming[] = [];
    for (const byte of bytes) {
      const item = this.#take(byte);
      if (item !== undefined) found.push(item);
    }
    return found;
  }

  #take(byte: number): Incoming | undefined {
    if (this.#digits !== undefined) return this.#takeDigit(byte);
    if (byte === DOLLAR) {
      // Within a packet it would be escaped: the end of the last one was lost.
      this.#data = [];
      this.#sum = 0;
      this.#tooLong = false;
      return undefined;
    }
    if (this.#data === undefined) {
      switch (byte) {
        case PLUS:
          return { kind: "ack" };
        case MINUS:
          return { kind: "nak" };
        case INTERRUPT:
          return { kind: "interrupt" };
      }
      return undefined;
    }
    if (byte === HASH) {
      this.#digits = [];
      return undefined;
    }
    this.#sum = (this.#sum + byte) & 0xff;
    // Escaped bytes take two.
    if (this.#data.length < 2 * PACKET_SIZE) this.#data.push(byte);
    else this.#tooLong = true;
    return undefined;
  }

  #takeDigit(byte: number): Incoming | undefined {
    const digits = this.#digits!;
    digits.push(byte);
    if (digits.length < 2) return undefined;
    const text = String.fromCharCode(...digits);
    const sum = /^[0-9a-f]{2}$/i.test(text) ? parseInt(text, 16) : -1;
    const data = unescape(this.#data!);
    const whole = sum === this.#sum && !this.#tooLong && data.length <= PACKET_SIZE;
    this.#data = undefined;
    this.#digits = undefined;
    return whole ? { kind: "packet", data } : { kind: "damaged" };
  }
}

function unescape(bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    data[length++] = bytes[i] === ESCAPE && i + 1 < bytes.length ? bytes[++i]! ^ FLIP : bytes[i]!;
  }
  return data.slice(0, length);
}

/**
 * Makes a packet.
 *
 * @param data Its data: text of ASCII characters, or bytes
 * @returns The packet with its sum
 */
export function encodePacket(data: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const packet = [DOLLAR];
  let sum = 0;
  const put = (byte: number) => {
    packet.push(byte);
    sum = (sum + byte) & 0xff;
  };
  for (const byte of bytes) {
    // A `*` would be taken for run-length encoding.
    if (byte === DOLLAR || byte === HASH || byte === ESCAPE || byte === STAR) {
      put(ESCAPE);
      put(byte ^ FLIP);
    } else put(byte);
  }
  const digits = sum.toString(16).padStart(2, "0");
  return Uint8Array.from([...packet, HASH, digits.charCodeAt(0), digits.charCodeAt(1)]);
}
