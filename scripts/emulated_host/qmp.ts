/** QEMU's machine protocol over its stdin and stdout (docs/interop/qmp-spec). */
import { Failure } from "./failure.ts";
import { lines } from "./lines.ts";
import { quote } from "./shell_word.ts";

type Reply = {
  return?: unknown;
  error?: { desc: string };
  event?: string;
  data?: { status?: string };
};

/** A connection on which one command at a time is in flight. */
export class Qmp {
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #replies: AsyncGenerator<string>;
  #migration = "none";

  /**
   * @param input QEMU's stdin
   * @param output QEMU's stdout
   */
  constructor(input: WritableStream<Uint8Array>, output: ReadableStream<Uint8Array>) {
    this.#input = input.getWriter();
    this.#replies = lines(output);
  }

  /** Reads the greeting and leaves negotiation mode. */
  async open(): Promise<void> {
    await this.#next();
    await this.execute("qmp_capabilities");
  }

  /**
   * Runs a command.
   *
   * @param command its name
   * @param args its arguments
   * @throws {Failure} if QEMU answers with an error
   */
  async execute(command: string, args: Record<string, unknown> = {}): Promise<void> {
    const line = JSON.stringify({ execute: command, arguments: args }) + "\n";
    await this.#input.write(new TextEncoder().encode(line));
    for (;;) {
      const reply = await this.#next();
      if (reply.error) throw new Failure(`QEMU refused ${command}: ${reply.error.desc}`);
      if (reply.return !== undefined) return;
    }
  }

  /**
   * Saves the machine without its memory, which is a file of its own already.
   *
   * @param file where the state of the devices goes
   */
  async save(file: string): Promise<void> {
    await this.#migrate("migrate", `exec:cat > ${quote(file)}`);
  }

  /**
   * Goes on from a saved state.
   *
   * @param file what `save` wrote
   */
  async load(file: string): Promise<void> {
    await this.#migrate("migrate-incoming", `exec:cat ${quote(file)}`);
  }

  async #migrate(command: string, uri: string): Promise<void> {
    const capabilities = ["x-ignore-shared", "events"]
      .map((capability) => ({ capability, state: true }));
    await this.execute("migrate-set-capabilities", { capabilities });
    await this.execute(command, { uri });
    while (this.#migration !== "completed") {
      await this.#next();
      if (this.#migration === "failed") {
        throw new Failure("QEMU could not save or load the snapshot");
      }
    }
  }

  async #next(): Promise<Reply> {
    const { value, done } = await this.#replies.next();
    if (done) throw new Failure("QEMU closed its control connection");
    const reply = JSON.parse(value) as Reply;
    // The event may come before the reply to the command that started it.
    if (reply.event === "MIGRATION") this.#migration = reply.data?.status ?? "failed";
    return reply;
  }
}
