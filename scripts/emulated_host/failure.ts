/** An end of the emulated host that is not the command's own. */

/** Carries the exit status for it: 2 wrong usage, 124 timeout, 125 the machinery failed. */
export class Failure extends Error {
  override name = "Failure";
  /**
   * @param message what failed and the next step
   * @param exitStatus what the script exits with
   */
  constructor(message: string, readonly exitStatus: 2 | 124 | 125 = 125) {
    super(message);
  }
}
