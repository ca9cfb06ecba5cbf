/**
 * VMs that somebody has made a folder for and that may not have run yet: their documents, in this
 * process's memory.
 *
 * @module
 */
import { verb as create } from "../verbs/create.ts";

/** Documents by VMs' names, as text. */
export class Drafts {
  readonly #texts = new Map<string, string>();
  /** VMs that are being started. */
  readonly #starting = new Set<string>();

  /** The names. */
  get names(): string[] {
    return [...this.#texts.keys()];
  }

  /** Whether there is one. */
  has(name: string): boolean {
    return this.#texts.has(name);
  }

  /** A VM's document; undefined if there is none. */
  text(name: string): string | undefined {
    return this.#texts.get(name);
  }

  /** Begins a document as `hvsh create` does. */
  make(name: string): void {
    const document = create.build!({ vm: 1 }, { name }, "/");
    this.#texts.set(name, JSON.stringify(document, undefined, 2) + "\n");
  }

  /** Puts another document in its place. */
  set(name: string, text: string): void {
    this.#texts.set(name, text);
  }

  /** Takes it away. */
  delete(name: string): void {
    this.#texts.delete(name);
  }

  /** Whether its VM is being started. */
  isStarting(name: string): boolean {
    return this.#starting.has(name);
  }

  /** Its VM is being started as long as some work is under way. */
  async starting<T>(name: string, work: Promise<T>): Promise<T> {
    this.#starting.add(name);
    try {
      return await work;
    } finally {
      this.#starting.delete(name);
    }
  }
}
