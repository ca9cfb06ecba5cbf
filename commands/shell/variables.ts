/**
 * The shell's variables. Those of the shell itself that are exported are the process's environment
 * as well, so that verbs in this process and programs that it starts see the same.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";

interface Variable {
  /** Left out in one that is only marked, to be exported once it has a value. */
  readonly value?: string;
  readonly exported: boolean;
}

/** What a function's own variable hides. */
interface Hidden {
  readonly variable: Variable | undefined;
  readonly frozen: boolean;
}

/** Those that follow a subshell's folder: no verb asks for them. */
const FOLDERS: ReadonlySet<string> = new Set(["PWD", "OLDPWD"]);

/** Variables by name. */
export class Variables {
  readonly #variables: Map<string, Variable>;
  readonly #readonly: Set<string>;
  readonly #scopes: Map<string, Hidden>[] = [];
  readonly #shared: boolean;
  #diverged = false;

  /** @param origin Those of the shell that a subshell is made from; the process's own if left out */
  constructor(origin?: Variables) {
    this.#shared = origin === undefined;
    if (origin === undefined) {
      const environment = Object.entries(Deno.env.toObject());
      this.#variables = new Map(
        environment.map(([name, value]) => [name, { value, exported: true }]),
      );
      this.#variables.set("PPID", { value: String(Deno.ppid), exported: false });
      this.#readonly = new Set();
      return;
    }
    this.#variables = new Map(origin.#variables);
    this.#readonly = new Set(origin.#readonly);
    this.#diverged = origin.#diverged;
    if (origin.#scopes.length > 0) this.enter(); // a function's subshell is in the function
  }

  /**
   * @param name A name
   * @returns Its value; undefined if it has none
   */
  get(name: string): string | undefined {
    return this.#variables.get(name)?.value;
  }

  /**
   * Gives a variable a value. As in sh, one of the environment stays there.
   *
   * @param name Its name
   * @param value Its value
   * @throws {UsageError} If it is read-only
   */
  set(name: string, value: string): void {
    this.#put(name, { value, exported: this.#variables.get(name)?.exported ?? false });
  }

  /**
   * Moves a variable into the environment.
   *
   * @param name Its name
   * @param value Its value; the one that it has, or will have, if left out
   */
  export(name: string, value: string | undefined = this.get(name)): void {
    this.#put(name, { ...(value === undefined ? {} : { value }), exported: true });
  }

  /**
   * Forgets a variable.
   *
   * @param name Its name
   */
  unset(name: string): void {
    this.#put(name, undefined);
  }

  /**
   * Keeps a variable as it is.
   *
   * @param name Its name
   */
  freeze(name: string): void {
    this.#readonly.add(name);
  }

  /** Begins a function's own variables. */
  enter(): void {
    this.#scopes.push(new Map());
  }

  /** Ends them: what they had hidden is back. */
  leave(): void {
    for (const [name, { variable, frozen }] of this.#scopes.pop() ?? []) {
      this.#readonly.delete(name); // what the function has kept as it is was its own
      this.#put(name, variable);
      if (frozen) this.#readonly.add(name);
    }
  }

  /**
   * Makes a variable the function's own.
   *
   * @param name Its name
   * @throws {UsageError} Outside of a function
   */
  local(name: string): void {
    const scope = this.#scopes.at(-1);
    if (scope === undefined) {
      throw new UsageError("Cannot make a variable local outside of a function", {
        hint: `name() { local ${name}; …; }`,
      });
    }
    if (scope.has(name)) return;
    scope.set(name, { variable: this.#variables.get(name), frozen: this.#readonly.has(name) });
  }

  /** Those that programs are given. */
  get environment(): Record<string, string> {
    const environment: Record<string, string> = {};
    for (const [name, { value, exported }] of this.#variables) {
      if (exported && value !== undefined) environment[name] = value;
    }
    return environment;
  }

  /** Whether they are no longer those of the process, which verbs see. */
  get diverged(): boolean {
    return this.#diverged;
  }

  /** The shell's own variables by name, in order. */
  own(): [name: string, value: string][] {
    return this.#listed().flatMap(([name, { value, exported }]): [string, string][] =>
      exported || value === undefined ? [] : [[name, value]]
    );
  }

  /** Those that are exported, or will be once they have a value, in order. */
  exported(): [name: string, value: string | undefined][] {
    return this.#listed().filter(([, { exported }]) => exported)
      .map(([name, { value }]) => [name, value]);
  }

  /** All names that have a value, in order. */
  names(): string[] {
    return this.#listed().filter(([, { value }]) => value !== undefined).map(([name]) => name);
  }

  #listed(): [name: string, variable: Variable][] {
    return [...this.#variables].sort(([a], [b]) => a < b ? -1 : 1);
  }

  #put(name: string, variable: Variable | undefined): void {
    if (this.#readonly.has(name)) throw new UsageError(`${name} is read-only`);
    const exported = this.#variables.get(name)?.exported === true || variable?.exported === true;
    if (variable === undefined) this.#variables.delete(name);
    else this.#variables.set(name, variable);
    if (!exported) return;
    if (!this.#shared) {
      this.#diverged ||= !FOLDERS.has(name);
    } else if (variable?.exported === true && variable.value !== undefined) {
      Deno.env.set(name, variable.value);
    } else Deno.env.delete(name);
  }
}
