/**
 * Descriptors that redirections have opened.
 *
 * @module
 */
import { OwnedDescriptor } from "../../ffi/pipe.ts";

/** Descriptors that are closed together. */
export class OpenFiles implements Disposable {
  #descriptors: OwnedDescriptor[] = [];

  /**
   * Takes one.
   *
   * @param fd A descriptor, which is this object's from here on
   * @returns It
   */
  own(fd: number): number {
    this.#descriptors.push(new OwnedDescriptor(fd));
    return fd;
  }

  /**
   * Takes all that another has.
   *
   * @param other The other, which has none from here on
   */
  take(other: OpenFiles): void {
    this.#descriptors.push(...other.#descriptors);
    other.#descriptors = [];
  }

  /**
   * Closes those that nobody has any more.
   *
   * @param used The descriptors that somebody has
   */
  keepOnly(used: ReadonlySet<number>): void {
    const unused = this.#descriptors.filter(({ fd }) => !used.has(fd));
    this.#descriptors = this.#descriptors.filter(({ fd }) => used.has(fd));
    for (const descriptor of unused) descriptor[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.keepOnly(new Set());
  }
}
