/**
 * A shell in this process for tests, whose output and complaints can be read.
 *
 * @module
 */
import { openFile, OpenFlag } from "../ffi/files.ts";
import { memoryFile } from "../ffi/memory_file.ts";
import { OwnedDescriptor } from "../ffi/pipe.ts";
import { finish, runText } from "../commands/shell/script.ts";
import { Session, type VerbSource } from "../commands/shell/session.ts";
import { Streams } from "../commands/shell/streams.ts";

/** A shell without verbs. */
const NO_VERBS: VerbSource = {
  names: [],
  load: () => Promise.resolve(undefined),
  vms: () => Promise.resolve([]),
};

/** A shell; what it changes, it changes for itself. */
export class InnerShell {
  readonly interrupt = new AbortController();
  readonly #cwd: string;
  readonly #verbs: VerbSource;
  /** Its exit status. */
  status = 0;
  /** What it said on stderr. */
  notes = "";

  /**
   * @param cwd Its folder
   * @param verbs Its verbs
   */
  constructor(cwd: string, verbs: VerbSource = NO_VERBS) {
    this.#cwd = cwd;
    this.#verbs = verbs;
  }

  /**
   * Runs lines from the start to the end of a shell.
   *
   * @param source The lines
   * @param words Its arguments
   * @returns What they wrote
   */
  async run(source: string, words: readonly string[] = []): Promise<string> {
    using nothing = new OwnedDescriptor(openFile("/dev/null", OpenFlag.RDONLY));
    using output = new OwnedDescriptor(memoryFile("stdout", new Uint8Array()));
    using errors = new OwnedDescriptor(memoryFile("stderr", new Uint8Array()));
    const descriptors = new Map([[0, nothing.fd], [1, output.fd], [2, errors.fd]]);
    const { signal } = this.interrupt;
    const outer = new Session({
      verbs: this.#verbs,
      streams: new Streams(descriptors, false),
      interactive: false,
      name: "sh",
      words,
    });
    const session = outer.fork();
    session.folder.change(this.#cwd);
    await runText(source, undefined, session, signal);
    this.status = await finish(session, signal);
    this.notes = written(errors);
    return written(output);
  }
}

/** All that is in a file. */
function written({ fd }: OwnedDescriptor): string {
  return Deno.readTextFileSync(`/proc/self/fd/${fd}`);
}
