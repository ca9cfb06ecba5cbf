/**
 * The shell's variables. Those that are exported are the process's environment itself, so that
 * verbs in this process and programs that it starts see the same.
 *
 * @module
 */

/** Variables by name; an exported one is a variable of the environment. */
export class Variables {
  readonly #own = new Map<string, string>();

  /**
   * @param name A name
   * @returns Its value; undefined if it has none
   */
  get(name: string): string | undefined {
    return this.#own.get(name) ?? Deno.env.get(name);
  }

  /**
   * Gives a variable a value. As in sh, one of the environment stays there.
   *
   * @param name Its name
   * @param value Its value
   */
  set(name: string, value: string): void {
    if (Deno.env.has(name)) Deno.env.set(name, value);
    else this.#own.set(name, value);
  }

  /**
   * Moves a variable into the environment.
   *
   * @param name Its name
   * @param value Its value; the one it has, or nothing, if left out
   */
  export(name: string, value = this.get(name) ?? ""): void {
    this.#own.delete(name);
    Deno.env.set(name, value);
  }

  /**
   * Forgets a variable.
   *
   * @param name Its name
   */
  unset(name: string): void {
    this.#own.delete(name);
    Deno.env.delete(name);
  }

  /** The shell's own variables by name, in order. */
  own(): [name: string, value: string][] {
    return [...this.#own].sort(([a], [b]) => a < b ? -1 : 1);
  }

  /** All names that have a value, in order. */
  names(): string[] {
    return [...new Set([...this.#own.keys(), ...Object.keys(Deno.env.toObject())])].sort();
  }
}
