/**
 * Whose turn it is to draw on a terminal: the stages of a pipeline share its one line, and who works in the
 * background has none.
 *
 * @module
 */
import { tryLockByte } from "../../ffi/file_lock.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { HostError } from "../../ffi/errors.ts";

/** An opening of its own: locks are of openings, and stages have inherited the same one. */
const STDERR = "/proc/self/fd/2";
/** Which byte of the terminal's file stands for its line. */
const LINE = 0;

/** Of the stages in this process. */
let holder: TerminalTurn | undefined;

/** One stage's turn; disposing it lets the next one draw. */
export class TerminalTurn implements Disposable {
  #fd: number | undefined;

  /** Whether this stage has drawn. */
  get taken(): boolean {
    return holder === this;
  }

  /**
   * Takes the turn, or keeps it.
   *
   * @returns Whether it may draw now
   */
  take(): boolean {
    if (holder === undefined && this.#lock()) holder = this;
    return this.taken && inForeground();
  }

  #lock(): boolean {
    try {
      this.#fd ??= openFile(STDERR, OpenFlag.RDWR + OpenFlag.NOCTTY);
      return tryLockByte(this.#fd, LINE);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      return true; // another user's terminal, behind su: there is no way to agree
    }
  }

  [Symbol.dispose](): void {
    if (holder === this) holder = undefined;
    if (this.#fd !== undefined) closeFile(this.#fd);
    this.#fd = undefined;
  }
}

/** Whether the terminal's foreground process group is this process's (proc(5), /proc/PID/stat). */
function inForeground(): boolean {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return foreground === group || foreground === "-1"; // -1 where no terminal controls it
}
