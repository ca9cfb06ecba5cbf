/**
 * The host's ends of a command's streams: this process's own, where the stage has them, or pipes to
 * the stages beside it.
 *
 * @module
 */
import { writeAll } from "../../ffi/descriptor_io.ts";
import { makePipe, type OwnedDescriptor } from "../../ffi/pipe.ts";
import { isTerminal } from "../../ffi/terminal_modes.ts";
import { COMMAND_PORTS } from "../../vmm/boot/guest_init/guest_command.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import type { VerbContext } from "../verb.ts";

const PIECE = 65536;
const STDERR = 2;

/** How a command's streams are had. */
export interface StreamsPlan {
  /** Its stdin and stdout are the console's terminal. */
  readonly terminal: boolean;
  /** Its stderr is a stream of its own. */
  readonly stderr: boolean;
}

/**
 * Chooses how a command has its streams: with a person at a terminal, and nothing in between, it has one
 * too.
 *
 * @param stdinFree Whether stdin is not taken by a document
 * @param context Where the verb runs
 */
export function planStreams(stdinFree: boolean, context: VerbContext): StreamsPlan {
  const typed = !stdinFree || context.bytes === undefined;
  const terminal = typed && context.terminal?.setRaw !== undefined;
  return { terminal, stderr: !terminal || !isTerminal(context.stderr ?? STDERR) };
}

/** The console of a command, with the host's ends of its ports. */
export class CommandStreams implements AsyncDisposable {
  /** The console's entry in the document. */
  readonly entry: DeviceEntry;
  readonly #context: VerbContext;
  readonly #pipes = new DisposableStack();
  readonly #work: Promise<void>[] = [];

  /**
   * @param plan How it has them
   * @param stdinFree Whether stdin is not taken by a document
   * @param name The console's name
   * @param context Where the verb runs
   * @throws {HostError} If the process has no descriptor left
   */
  constructor(plan: StreamsPlan, stdinFree: boolean, name: string, context: VerbContext) {
    this.#context = context;
    const none = { mode: "none" };
    const ends: Record<typeof COMMAND_PORTS[number], Record<string, unknown>> = {
      stdin: plan.terminal || !stdinFree ? none : this.#input(),
      stdout: plan.terminal ? none : this.#output(),
      stderr: plan.stderr ? this.#errors() : none,
      ready: { mode: "write", path: "/dev/null" },
    };
    const ports = COMMAND_PORTS.map((port) => ({ name: port, ...ends[port] }));
    this.entry = { type: "console", name, ports };
  }

  /** Once the VM is gone: resolves when all that its command has written is the next stage's. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#pipes.dispose();
    await Promise.allSettled(this.#work); // a stage that is gone says so itself
  }

  #input(): Record<string, unknown> {
    const { stdin, bytes } = this.#context;
    if (stdin !== undefined) return { mode: "read", fd: stdin };
    if (bytes === undefined) return { mode: "none" };
    const { reader, writer } = this.#pipes.use(makePipe());
    this.#work.push(feed(bytes, writer));
    return { mode: "read", path: pathOf(reader) };
  }

  #output(): Record<string, unknown> {
    const { stdout } = this.#context;
    if (stdout !== undefined) return { mode: "write", fd: stdout };
    const { reader, writer } = this.#pipes.use(makePipe());
    this.#work.push(this.#drain(reader, (bytes) => this.#context.write(bytes)));
    return { mode: "write", path: pathOf(writer) };
  }

  #errors(): Record<string, unknown> {
    const { stderr } = this.#context;
    if (stderr === undefined) return { mode: "write", fd: STDERR };
    const { reader, writer } = this.#pipes.use(makePipe());
    this.#work.push(this.#drain(reader, (bytes) => writeAll(stderr, bytes)));
    return { mode: "write", path: pathOf(writer) };
  }

  /** Ends once the VM has closed its end of the pipe, and this object its own. */
  async #drain(
    reader: OwnedDescriptor,
    write: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
  ): Promise<void> {
    using file = Deno.openSync(pathOf(reader));
    const buffer = new Uint8Array(PIECE);
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) return;
      await write(buffer.slice(0, count));
    }
  }
}

/** Ends early, by EPIPE, when the VM has closed its end of the pipe and nobody else reads it. */
async function feed(bytes: AsyncIterable<Uint8Array>, writer: OwnedDescriptor): Promise<void> {
  using file = Deno.openSync(pathOf(writer), { read: false, write: true });
  writer[Symbol.dispose]();
  for await (const chunk of bytes) {
    for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
  }
}

function pathOf({ fd }: OwnedDescriptor): string {
  return `/proc/self/fd/${fd}`;
}
