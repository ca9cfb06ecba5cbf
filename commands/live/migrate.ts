/**
 * Moves a live VM through a command: memory in rounds while it runs, the rest while it is held, then the
 * two owners settle between themselves which of them has it.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { Convergence } from "../../vmm/state/convergence.ts";
import { DescriptorSink } from "../../vmm/state/descriptor_stream.ts";
import {
  addDirty,
  dirtyBytes,
  type DirtyPages,
  MemoryRounds,
} from "../../vmm/state/memory_rounds.ts";
import { ProcessPages } from "../../vmm/state/process_pages.ts";
import { MOVING } from "../../vmm/state/record_names.ts";
import { writeRecords } from "../../vmm/state/save_stream.ts";
import { StreamWriter } from "../../vmm/state/stream_writer.ts";
import {
  type BegunMigration,
  type ChangedPages,
  type LastState,
  type MigrationEnd,
  Word,
} from "./migration.ts";
import { MovingCommand } from "./moving_command.ts";
import type { Meter } from "../progress/meter.ts";
import { meteredSink, passedPieces } from "../progress/metered.ts";
import { PacedSink } from "./paced_sink.ts";
import { PipeLines, type PipeWord } from "./pipe_lines.ts";
import { RpcConnection } from "./rpc_connection.ts";
import type { RunDirectory } from "./run_directory.ts";

/** How a VM is moved. */
export interface MigrateOptions {
  /** The words of the command. */
  readonly command: readonly string[];
  /** The folder that it runs in. */
  readonly cwd: string;
  /** Milliseconds that the VM may stand. */
  readonly downtime: number;
  /** Bytes a second while it runs; Infinity for no limit. */
  readonly rate: number;
  /** Leave the VM where it is if it can't be moved within the downtime. */
  readonly giveUp: boolean;
}

/** What was done so far. */
export interface MigrationProgress {
  /** Rounds while the VM ran, of which this is one. */
  readonly round: number;
  /** Bytes of this round. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Who is told of it. */
export interface Report {
  /** Counts the bytes of each round. */
  readonly meter: Meter;
  round(progress: MigrationProgress): void;
  /** Something that the person should know. */
  note(text: string): void;
}

/** A migration that was done. */
export interface Migrated extends MigrationEnd {
  readonly rounds: number;
  /** Bytes of the whole stream. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** How long the last round may take beyond what was estimated, before the VM is let go on. */
const PATIENCE_MILLISECONDS = 10_000;
/** How often to send something while the other side is waited for. */
const LIFE_MILLISECONDS = 200;
/** The end of an archive, of which there may be any number. */
const ZEROS = new Uint8Array(512);

/**
 * Moves a VM.
 *
 * @param vm Its folder
 * @param options How
 * @param report Told of it
 * @returns What was done: the VM has ended here
 * @throws {VmError} If it was not moved: it goes on here
 */
export async function migrate(
  vm: RunDirectory,
  options: MigrateOptions,
  report: Report,
): Promise<Migrated> {
  using connection = await RpcConnection.open(vm.control);
  const begun = await connection.call("migration.begin") as BegunMigration;
  const start = performance.now();
  await using command = await MovingCommand.start(options.command, options.cwd);
  const pipe = new DescriptorSink(command.to.fd, options.command[0]!);
  const sink = new PacedSink(meteredSink(pipe, report.meter), options.rate);
  try {
    const stream = new Rounds(connection, begun, sink, { ...options, meter: report.meter });
    const other = new OtherSide(connection, new PipeLines(command.from.fd));
    report.round(await stream.sendAll(other));
    await stream.whileItIsHeld(await stream.sendChanges(other, report));
    const end = AbortSignal.timeout(stream.patience);
    const { owner } = await other.hear(Word.RESTORED, true, () => sink.write([ZEROS]), end);
    const { to, from } = command;
    const pipes = { pid: Deno.pid, to: to.fd, from: from.fd };
    await connection.call("migration.takeOver", { ...pipes, owner });
    command.leavePipes();
    const done = await connection.call("migration.commit") as MigrationEnd;
    const milliseconds = performance.now() - start;
    return { ...done, rounds: stream.rounds, bytes: sink.bytes, milliseconds };
  } catch (error) {
    connection[Symbol.dispose](); // the VM goes on at once, whatever the command still does
    if (error instanceof NotHeard) throw await command.failure(error.said);
    throw MovingCommand.hasEnded(error) ? await command.failure() : error;
  }
}

/** The other side did not say what was to be heard. */
class NotHeard extends Error {
  override name = "NotHeard";
  readonly said: string;

  /** @param said What it said */
  constructor(said: string) {
    super();
    this.said = said;
  }
}

/** What the other side says. */
class OtherSide {
  readonly #connection: RpcConnection;
  readonly #lines: PipeLines;

  constructor(connection: RpcConnection, lines: PipeLines) {
    this.#connection = connection;
    this.#lines = lines;
  }

  /**
   * Waits for a word. A filter on the way learns by what is sent only that there is nobody any more who
   * reads it, so that something is to be sent now and then.
   *
   * @param word The word
   * @param value What it is to say of it
   * @param showLife Sends something
   * @param end Ends the wait
   * @returns What was said with it
   */
  async hear(
    word: string,
    value: unknown,
    showLife: () => Promise<void>,
    end?: AbortSignal,
  ): Promise<PipeWord> {
    const { closed } = this.#connection;
    for (;;) {
      const signal = AbortSignal.any([closed, AbortSignal.timeout(LIFE_MILLISECONDS)]);
      const said = await this.#lines.next(signal);
      if (said !== undefined && said[word] === value) return said;
      if (closed.aborted) throw new VmError("The VM has ended while it was being migrated");
      if (said !== undefined || this.#lines.ended) throw new NotHeard(this.#lines.said);
      if (end?.aborted) throw new VmError("The other side took too long; the VM goes on here");
      await showLife();
    }
  }
}

/** The stream of one migration. */
class Rounds {
  /** How many there were while the VM ran. */
  rounds = 0;
  /** Milliseconds that the VM is held at most, if all goes wrong. */
  patience = 0;
  readonly #connection: RpcConnection;
  readonly #begun: BegunMigration;
  readonly #sink: PacedSink;
  readonly #options: MigrateOptions & Pick<Report, "meter">;
  readonly #writer: StreamWriter;
  readonly #memory: MemoryRounds;
  readonly #convergence: Convergence;

  constructor(
    connection: RpcConnection,
    begun: BegunMigration,
    sink: PacedSink,
    options: MigrateOptions & Pick<Report, "meter">,
  ) {
    this.#connection = connection;
    this.#begun = begun;
    this.#sink = sink;
    this.#options = options;
    this.#convergence = new Convergence(options.downtime);
    this.#writer = new StreamWriter(sink);
    this.#memory = new MemoryRounds(this.#writer, begun.regions);
  }

  /** Sends what the machine is, and all its memory. */
  async sendAll(other: OtherSide): Promise<MigrationProgress> {
    using memory = this.#pages();
    const copies = passedPieces(
      (region) => memory.copies(region),
      this.#begun.regions,
      this.#options.meter,
    );
    return await this.#round(other, async () => {
      await writeRecords(this.#writer, this.#begun.machine);
      await this.#memory.sendAll({
        copies,
        read: (address, length) => memory.read(address, length),
      });
    });
  }

  /** Sends what changes until the rest fits into the downtime, or gets no less; gives that. */
  async sendChanges(other: OtherSide, report: Report): Promise<DirtyPages> {
    using memory = this.#pages();
    for (;;) {
      const dirty = await this.#changed();
      const left = dirtyBytes(dirty);
      const next = this.#convergence.next(left);
      if (next === "last") return dirty;
      if (next === "vain") {
        this.#tellOrGiveUp(Math.ceil(this.#convergence.milliseconds(left)), report);
        return dirty;
      }
      const send = () => this.#memory.sendDirty(memory, dirty);
      report.round(await this.#round(other, send, left));
    }
  }

  #tellOrGiveUp(milliseconds: number, report: Report): void {
    const text =
      `the guest changes memory faster than it is sent: it will stand for about ${milliseconds} ms`;
    if (!this.#options.giveUp) return report.note(text);
    throw new VmError(`Given up: ${text}`, { hint: "a longer --downtime" });
  }

  /** Sends a record that asks for nothing, or for a word about a round. */
  async #say(record: { readonly round?: number }): Promise<void> {
    await this.#writer.json(MOVING, record);
    await this.#writer.flush();
  }

  /**
   * Waits until the other side has read all that was sent. What buffers on the way still hold would be read
   * while the VM stands, and a round that fits into them would seem to take no time.
   */
  async #untilRead(other: OtherSide, round: number): Promise<void> {
    const showLife = () => this.#say({});
    await this.#say({ round });
    // Until then a VM that is held would wait for a process that starts.
    if (round === 1) await other.hear(Word.MADE, true, showLife);
    await other.hear(Word.READ, round, showLife);
  }

  /** Holds the VM and sends all the rest. */
  async whileItIsHeld(left: DirtyPages): Promise<void> {
    this.patience = PATIENCE_MILLISECONDS + 2 * this.#convergence.milliseconds(dirtyBytes(left));
    const held = await this.#connection.call("migration.hold", {
      milliseconds: this.patience,
    }) as LastState;
    addDirty(left, pagesOf(held));
    this.#sink.unlimited = true;
    this.#options.meter.begin("last round");
    using memory = new ProcessPages(held.pid, held.slots, held.traps);
    await this.#memory.sendDirty(memory, left);
    await writeRecords(this.#writer, held.state);
    await this.#writer.end();
  }

  #pages(): ProcessPages {
    const { pid, slots, traps } = this.#begun;
    return new ProcessPages(pid, slots, traps); // traps that come or go later are changes of memory too
  }

  async #changed(): Promise<DirtyPages> {
    return pagesOf(await this.#connection.call("migration.dirty") as ChangedPages);
  }

  async #round(
    other: OtherSide,
    send: () => Promise<void>,
    total?: number,
  ): Promise<MigrationProgress> {
    const { bytes, waited } = this.#sink;
    this.#options.meter.begin(`round ${this.rounds + 1}`, total);
    const start = performance.now();
    await send();
    await this.#untilRead(other, this.rounds + 1);
    const milliseconds = performance.now() - start;
    const sent = this.#sink.bytes - bytes;
    this.#convergence.sent(sent, milliseconds - (this.#sink.waited - waited));
    this.rounds++;
    return { round: this.rounds, bytes: sent, milliseconds };
  }
}

function pagesOf({ dirty }: ChangedPages): DirtyPages {
  return dirty.map((text) => Uint8Array.fromBase64(text));
}
