/**
 * Whose a machine's disks are: its own, lent to forks that read them, or another's which goes on in its
 * place.
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";

/** The disks of one machine. */
export class DiskLending {
  readonly #act: (action: "lend" | "yield" | "reclaim") => void;
  #lent = false;

  /**
   * @param act Does something to every disk; it throws where one can't
   */
  constructor(act: (action: "lend" | "yield" | "reclaim") => void) {
    this.#act = act;
  }

  /**
   * Lets forks read them, until {@linkcode reclaim}.
   *
   * @throws {VmError} If one can't be lent
   */
  lend(): void {
    const before = this.#lent;
    this.#lent = true; // as soon as one of them is
    try {
      this.#act("lend");
    } catch (error) {
      if (!before) this.#giveUp();
      throw error;
    }
  }

  /** Takes back those that were lent before one could not be; whom that fails for is asked again later. */
  #giveUp(): void {
    try {
      this.reclaim();
    } catch {
      // Somebody was quick to use one: it is lent to that one, and the VM waits as for a copy.
    }
  }

  /**
   * Takes them back, if they are lent.
   *
   * @throws {VmError} If forks still use one
   */
  reclaim(): void {
    if (!this.#lent) return;
    this.take();
    this.#lent = false;
  }

  /**
   * Lets another machine have them that is to go on in this one's place.
   *
   * @throws {VmError} If it can't
   */
  yield(): void {
    if (this.#lent) {
      throw new VmError("The VM's disks are lent to its forks", {
        hint: "the VM can be moved once they have ended",
      });
    }
    this.#act("yield");
  }

  /**
   * Takes them after {@linkcode yield} of this machine or of another.
   *
   * @throws {VmError} If others use one
   */
  take(): void {
    this.#act("reclaim");
  }
}
