/**
 * The folder that a shell is in: where it is, and the way there that its lines have taken, on which
 * `..` is the folder before (POSIX.1-2017 XCU, cd).
 *
 * @module
 */

/** A shell's folder. That of a subshell is not its process's. */
export class ShellFolder {
  readonly #inner: boolean;
  #logical: string;
  /** Where a subshell is. */
  #physical: string | undefined;

  /**
   * @param named Where the process is by its environment, `$PWD`
   * @param origin That of the shell that a subshell is made from
   */
  constructor(named: string | undefined, origin?: ShellFolder) {
    this.#inner = origin !== undefined;
    if (origin !== undefined) {
      this.#logical = origin.logical;
      this.#physical = origin.physical;
    } else this.#logical = named !== undefined && isHere(named) ? named : here() ?? named ?? "/";
  }

  /** The way there, which may lead over symbolic links. */
  get logical(): string {
    return this.#logical;
  }

  /** Its path without them, from which relative paths start; the way there if it is removed. */
  get physical(): string {
    return this.#physical ?? here() ?? this.#logical;
  }

  /**
   * Changes to another.
   *
   * @param path The way there, absolute
   */
  change(path: string): void {
    if (this.#inner) {
      Deno.readDirSync(path)[Symbol.iterator]().next(); // refused as chdir(2) would be
      this.#physical = Deno.realPathSync(path);
    } else Deno.chdir(path);
    this.#logical = path;
  }
}

/** The process's folder; undefined if it has been removed. */
function here(): string | undefined {
  try {
    return Deno.cwd();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether a path is a way to the process's folder that a shell can go on with. */
function isHere(path: string): boolean {
  if (!path.startsWith("/") || /\/\.\.?(\/|$)/.test(path)) return false;
  try {
    const [there, here] = [Deno.statSync(path), Deno.statSync(".")];
    return there.dev === here.dev && there.ino === here.ino;
  } catch {
    return false;
  }
}
