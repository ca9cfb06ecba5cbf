/**
 * What `exit`, `return`, `break` and `continue` throw, up to where it takes effect.
 *
 * @module
 */

/** The shell, or the subshell, is left. */
export class Leave {
  /**
   * @param status Its exit status
   * @param killed Whether nothing is left of it that could run a trap
   */
  constructor(readonly status: number, readonly killed = false) {}
}

/** A function or a script that `.` reads is left. */
export class Return {
  /** @param status Its exit status */
  constructor(readonly status: number) {}
}

/** Loops are left, or go on with their next round. */
export class LoopExit {
  /**
   * @param levels How many loops, the innermost counted
   * @param again Whether the last of them goes on
   */
  constructor(readonly levels: number, readonly again: boolean) {}
}

/** The line is left, since the person has interrupted it. */
export class Interrupted {}
