/**
 * The files that a detached VM's console and events are written to. Each is bounded, and a disk that takes no more
 * does not end the VM: what was lost is told in the file once it can be.
 *
 * @module
 */

/** The file keeps between this and twice this many bytes; the older half is beside it, as `.old`. */
const MOST_BYTES = 4 * 2 ** 20;

/** A log in a VM's folder. */
export class ConsoleLog {
  readonly #path: string;
  #size = 0;
  #lost = 0;
  #reason = "";

  /**
   * @param path The file; it is made when something is written
   */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Appends what the guest wrote.
   *
   * @param bytes The bytes; lost, and counted, where the file cannot take them
   */
  write(bytes: Uint8Array): void {
    try {
      if (this.#size > MOST_BYTES) {
        Deno.renameSync(this.#path, `${this.#path}.old`);
        this.#size = 0;
      }
      if (this.#lost > 0) {
        this.#append(new TextEncoder().encode(
          `\n[hvsh: ${this.#lost} bytes are missing here: ${this.#reason}]\n`,
        ));
        this.#lost = 0;
      }
      this.#append(bytes);
    } catch (error) {
      this.#lost += bytes.length;
      this.#reason = (error as Error).message;
    }
  }

  #append(bytes: Uint8Array): void {
    Deno.writeFileSync(this.#path, bytes, { append: true, mode: 0o600 });
    this.#size += bytes.length;
  }
}
