/**
 * Machines of a test's own process that start on bytes given here.
 *
 * @module
 */
import { binaryText } from "./binary_text.ts";
import { parseDocument, type VmDocument } from "../vmm/document.ts";
import type { Machine } from "../vmm/machine.ts";

const DEADLINE = 180_000;

/** Bytes, and where they lie. */
export interface Placed {
  readonly code: Uint8Array<ArrayBuffer>;
  readonly base?: number;
}

/**
 * A document of 1 MiB of RAM and a serial port that starts on bytes.
 *
 * @param code The bytes, or several pieces, of which the first is started
 * @param flat More of `boot.flat`
 * @param more More of the document
 */
export function flatDocument(
  code: Uint8Array<ArrayBuffer> | readonly Placed[],
  flat: { mode?: string; entry?: number } = {},
  more: Record<string, unknown> = {},
): VmDocument {
  const pieces = code instanceof Uint8Array ? [{ code }] : code;
  const images = pieces.map(({ code, base }: Placed) => ({
    data: code.toBase64(),
    ...(base === undefined ? {} : { base }),
  }));
  return parseDocument({
    vm: 1,
    memory: [{ type: "ram", size: 2 ** 20 }],
    devices: [{ type: "serial" }],
    boot: { flat: { images, ...flat } },
    ...more,
  }, "a test");
}

/** Keeps what a machine's consoles say, each byte a character. */
export class Transcript {
  text = "";
  #changed = Promise.withResolvers<void>();

  constructor(machine: Machine) {
    machine.console.attach((bytes) => {
      this.text += binaryText(bytes);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  /**
   * Waits for some text, or so many bytes.
   *
   * @throws {Error} If it has not come within a minute
   */
  async until(wanted: string | number): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed.resolve();
    }, DEADLINE);
    const there = () =>
      typeof wanted === "string" ? this.text.includes(wanted) : this.text.length >= wanted;
    while (!there()) {
      if (late) throw new Error(`The console never said ${wanted}, but: ${this.text}`);
      await this.#changed.promise;
    }
    clearTimeout(timer);
    return this.text;
  }
}
