/**
 * Descriptors that redirections have opened.
 *
 * @module
 */
import { OwnedDescriptor } from "../../ffi/pipe.ts";

/** Descriptors that are closed together. */
export class OpenFiles implements Disposable {
  #descriptors: OwnedDescriptor[] = [];

  /** Whether it has none. */
  get empty(): boolean {
    return this.#descriptors.length === 0;
  }

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
   * Takes those of another that somebody has.
   *
   * @param other The other, which has them no more
   * @param used The descriptors that somebody has
   */
  take(other: OpenFiles, used: ReadonlySet<number>): void {
    this.#descriptors.push(...other.#descriptors.filter(({ fd }) => used.has(fd)));
    other.#descriptors = other.#descriptors.filter(({ fd }) => !used.has(fd));
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
