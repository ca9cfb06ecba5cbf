/**
 * The command that takes a VM elsewhere: the stream goes into its stdin, what the other side says comes
 * from its stdout. Both are pipes of this process, so that the VM's owner can take them over.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Errno } from "../../ffi/errno.ts";
import { HostError, VmError } from "../../ffi/errors.ts";
import { libc } from "../../ffi/libc.ts";
import { makePipe, type OwnedDescriptor } from "../../ffi/pipe.ts";

const F_SETFL = 4;
const F_SETPIPE_SZ = 1031;
const O_NONBLOCK = 0o4000;
/** What every user may have of a pipe, by default. */
const PIPE_BYTES = 2 ** 20;
/** How long a command whose stdin has ended may take to end too. */
const END_MILLISECONDS = 5000;

/** A command that runs. */
export class MovingCommand implements AsyncDisposable {
  /** Where the stream goes. */
  readonly to: OwnedDescriptor;
  /** What it says, in non-blocking mode. */
  readonly from: OwnedDescriptor;
  readonly #child: ChildProcess;
  readonly #word: string;
  readonly #ended: Promise<void>;

  private constructor(
    child: ChildProcess,
    word: string,
    ends: { to: OwnedDescriptor; from: OwnedDescriptor; ended: Promise<void> },
  ) {
    this.#child = child;
    this.#word = word;
    this.to = ends.to;
    this.from = ends.from;
    this.#ended = ends.ended;
  }

  /**
   * Starts a command; its stderr is this process's.
   *
   * @param command Its words
   * @param cwd The folder that it runs in
   * @throws {VmError} If there is no such command
   */
  static async start(command: readonly string[], cwd: string): Promise<MovingCommand> {
    const [word = "", ...args] = command;
    using stack = new DisposableStack();
    const input = stack.use(makePipe());
    const output = stack.use(makePipe());
    libc.fcntl(input.writer.fd, F_SETPIPE_SZ, PIPE_BYTES); // which may be refused
    libc.fcntl(output.reader.fd, F_SETFL, O_NONBLOCK);
    // The copies of the pipes that spawn hands down too are good for something: while the other owner has
    // them, the end of a filter between is not taken for its end.
    const child = spawn(word, args, {
      cwd,
      stdio: [input.reader.fd, output.writer.fd, "inherit"],
    });
    const started = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    child.on("error", (error) => {
      const { code } = error as { code?: string };
      started.reject(
        new VmError(
          `${word}: ${code === "ENOENT" ? "there is no such command" : error.message}`,
        ),
      );
    });
    child.on("spawn", () => started.resolve());
    child.on("exit", () => ended.resolve());
    await started.promise;
    input.reader[Symbol.dispose]();
    output.writer[Symbol.dispose]();
    stack.move();
    const ends = { to: input.writer, from: output.reader, ended: ended.promise };
    return new MovingCommand(child, word, ends);
  }

  /**
   * Says why nothing was to be had from it, after waiting for its end.
   *
   * @param said What it said in place of what was expected
   */
  async failure(said = ""): Promise<VmError> {
    await this.#end();
    const { exitCode, signalCode } = this.#child;
    if (said !== "") {
      return new VmError(`${this.#word} said ${JSON.stringify(said.slice(0, 80))}`, {
        hint: "leave its stdout to `hvsh restore --live`",
      });
    }
    const how = signalCode === null ? `status ${exitCode}` : `signal ${signalCode}`;
    return new VmError(`${this.#word} ended with ${how} before the VM ran there`);
  }

  /**
   * Whether an error is a write to a command that has ended.
   *
   * @param error What a write threw
   */
  static hasEnded(error: unknown): boolean {
    return error instanceof HostError && error.errno === Errno.EPIPE;
  }

  /** Lets go of its pipes: from here on they are somebody else's. */
  leavePipes(): void {
    this.to[Symbol.dispose]();
    this.from[Symbol.dispose]();
  }

  async #end(): Promise<void> {
    this.leavePipes();
    const timer = setTimeout(() => this.#child.kill("SIGTERM"), END_MILLISECONDS);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Waits for its end: it has nothing more to read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
