/**
 * Runs single commands and pipelines.
 *
 * @module
 */
import { makePipe } from "../../ffi/pipe.ts";
import { callFunction, runLines } from "./called_text.ts";
import { builtins } from "./builtins.ts";
import { commandWords, fieldsOf } from "./command_words.ts";
import { Leave } from "./control_flow.ts";
import type { Evaluator } from "./evaluator.ts";
import { type Expanded, Expander } from "./expansion.ts";
import { complain, explained } from "./explained.ts";
import { textOf } from "./input.ts";
import { OpenFiles } from "./open_files.ts";
import { keepOpen, withRedirections } from "./own_redirections.ts";
import { type PipelineStage, runPipeline } from "./pipeline.ts";
import { redirected } from "./redirections.ts";
import { runStage, type StageRun } from "./stage_run.ts";
import { type Stage, stageOf, type StageOptions } from "./stages.ts";
import type { Streams } from "./streams.ts";
import type { Assignment, Command, CompoundCommand, Script, SimpleCommand, Word } from "./tree.ts";
import { Refusal, WordFailure } from "./word_failure.ts";

const STDERR = 2;

/** A command whose words are ready. */
interface ReadyCommand {
  /** What it is; undefined for assignments alone. */
  readonly stage: Stage | undefined;
  readonly assigned: Readonly<Record<string, string>>;
}

/** Runs the commands of an evaluator. */
export class CommandRunner {
  readonly expander: Expander;
  readonly #evaluator: Evaluator;
  /** The exit status of the last `$(…)` of a command. */
  #captured: number | undefined;
  /** Whether a command's redirections are the shell's own from here on. */
  #kept = false;

  /** @param evaluator Whose commands they are */
  constructor(evaluator: Evaluator) {
    this.#evaluator = evaluator;
    this.expander = new Expander(evaluator.session, (script) => this.#capture(script));
  }

  /**
   * Expands the words of a `for`.
   *
   * @param words The words
   * @returns Their fields
   */
  async words(words: readonly Word[]): Promise<string[]> {
    return (await fieldsOf(words, this.expander)).map(({ text }) => text);
  }

  /**
   * Runs the one command of a pipeline, in the shell itself.
   *
   * @param command The command
   * @param tested Whether somebody asks for the status
   * @returns Its exit status
   */
  async single(command: Command, tested: boolean): Promise<number> {
    return await explained(this.#evaluator, async () => {
      if (command.kind !== "simple") return await this.#compound(command, tested);
      const ready = await this.#ready(command, false);
      return await this.#inPlace(command, (streams) => this.#simple(ready, tested, { streams }));
    });
  }

  /**
   * Runs the commands of a pipeline at once, each in a subshell.
   *
   * @param commands The commands, at least two
   * @param tested Whether somebody asks for the status
   * @returns The exit status of the last
   */
  async pipeline(commands: readonly Command[], tested: boolean): Promise<number> {
    const evaluator = this.#evaluator;
    const inners = commands.map(() => evaluator.with({ session: evaluator.session.fork() }));
    return await explained(this.#evaluator, async () => {
      const stages: PipelineStage[] = [];
      // Nothing runs and no file is overwritten if a word of one of them is wrong.
      for (const [i, command] of commands.entries()) {
        stages.push(await new CommandRunner(inners[i]!).#stage(command, tested, i > 0));
      }
      return await runPipeline(stages, evaluator);
    });
  }

  /** A command as a stage of a pipeline. */
  async #stage(command: Command, tested: boolean, piped: boolean): Promise<PipelineStage> {
    const evaluator = this.#evaluator;
    const { session } = evaluator;
    if (command.kind !== "simple") {
      return {
        verb: false,
        redirections: command.redirections,
        run: async ({ streams }) => {
          session.streams = streams;
          return await evaluator.contained(() =>
            explained(evaluator, () => this.#compound(command, tested))
          );
        },
      };
    }
    const ready = await this.#ready(command, piped);
    return {
      verb: ready.stage?.kind === "verb",
      redirections: command.redirections,
      run: async (run) => {
        session.streams = run.streams;
        return await evaluator.contained(() =>
          explained(evaluator, async () => {
            return await this.#inPlace(
              command,
              (streams) => this.#simple(ready, tested, { ...run, streams }),
            );
          })
        );
      },
    };
  }

  async #compound(command: CompoundCommand, tested: boolean): Promise<number> {
    this.#evaluator.job?.begin();
    return await this.#inPlace(command, () => this.#evaluator.compound(command, tested));
  }

  /** Runs a command with its redirections; after an `exec` without a command they stay. */
  async #inPlace(
    command: Command,
    run: (streams: Streams) => Promise<number>,
  ): Promise<number> {
    const { session } = this.#evaluator;
    using open = new OpenFiles();
    const streams = await this.#redirected(command, open);
    const { redirections } = command;
    try {
      return await withRedirections(session, { redirections, streams, open }, () => run(streams));
    } finally {
      if (this.#kept) {
        this.#kept = false;
        session.streams = streams;
        keepOpen(session, open);
      }
    }
  }

  #redirected({ redirections }: Command, open: OpenFiles): Promise<Streams> {
    const { session, job } = this.#evaluator;
    return redirected(redirections, session, this.expander, open, () => job?.begin());
  }

  /** Expands a command's words and finds out what it is. */
  async #ready(command: SimpleCommand, piped: boolean): Promise<ReadyCommand> {
    const { session } = this.#evaluator;
    this.#captured = undefined;
    this.#evaluator.at = command.span.start;
    const words = await commandWords(command.words, this.expander);
    const assigned = await this.#assigned(command.assignments, words.length === 0);
    if (session.options.xtrace) this.#trace(assigned, words);
    if (words.length === 0) return { stage: undefined, assigned };
    const inputGiven = piped || session.inputGiven ||
      command.redirections.some(({ descriptor }) => descriptor === 0);
    const options = { host: command.host, assigned, inputGiven };
    return { stage: await this.#found(words, command, options), assigned };
  }

  /** What a command is; what is wrong with its words is said where its own stderr is. */
  async #found(
    words: readonly Expanded[],
    command: SimpleCommand,
    options: StageOptions,
  ): Promise<Stage> {
    try {
      return await stageOf(words, this.#evaluator.session, options);
    } catch (error) {
      const own = command.redirections.some(({ descriptor }) => descriptor === STDERR);
      if (!(error instanceof WordFailure) || !own) throw error;
      using open = new OpenFiles();
      const streams = await this.#redirected(command, open);
      throw new Refusal(complain(error, this.#evaluator, streams));
    }
  }

  /** The values of assignments; those without a command are the shell's own, and at once. */
  async #assigned(
    assignments: readonly Assignment[],
    own: boolean,
  ): Promise<Record<string, string>> {
    const { variables } = this.#evaluator.session;
    const values: Record<string, string> = {};
    for (const { name, value } of assignments) {
      const text = await this.expander.assigned(value);
      values[name] = text;
      if (!own) continue;
      try {
        variables.set(name, text);
      } catch (error) {
        throw new WordFailure(error, value.span, { fatal: true });
      }
    }
    return values;
  }

  #trace(assigned: Readonly<Record<string, string>>, words: readonly Expanded[]): void {
    const { session } = this.#evaluator;
    const values = Object.entries(assigned).map(([name, value]) => `${name}=${value}`);
    const line = [...values, ...words.map(({ text }) => text)].join(" ");
    session.note(`${session.variables.get("PS4") ?? "+ "}${line}`);
  }

  async #simple(ready: ReadyCommand, tested: boolean, run: StageRun): Promise<number> {
    const { stage, assigned } = ready;
    const evaluator = this.#evaluator;
    if (stage === undefined) {
      evaluator.job?.begin();
      return this.#captured ?? 0;
    }
    if (stage.kind === "verb" || stage.kind === "program") {
      return await runStage(stage, run, evaluator);
    }
    const runIt = async () => {
      if (stage.kind === "function") {
        return await callFunction(stage, evaluator, tested);
      }
      return await runStage(stage, run, evaluator, {
        evaluate: (text, name) => runLines(text, name, evaluator, tested),
        command: (words, programOnly) => this.#command(words, programOnly, run, tested),
        keepStreams: () => this.#kept = true,
        isBuiltin: (name) => Object.hasOwn(builtins, name),
      });
    };
    // What a built-in makes local is the function's around it.
    const own = stage.kind === "function" || Object.keys(assigned).length > 0;
    return own ? await this.#withOwn(assigned, runIt) : await runIt();
  }

  /** Runs something with variables of its own. */
  async #withOwn<T>(assigned: Readonly<Record<string, string>>, run: () => Promise<T>): Promise<T> {
    const { variables } = this.#evaluator.session;
    variables.enter();
    try {
      for (const [name, value] of Object.entries(assigned)) {
        variables.local(name);
        variables.export(name, value);
      }
      return await run();
    } finally {
      variables.leave();
    }
  }

  /** Runs words as a command, functions left out. */
  async #command(
    texts: readonly string[],
    programOnly: boolean,
    run: StageRun,
    tested: boolean,
  ): Promise<number> {
    const { session } = this.#evaluator;
    const words = texts.map((text) => ({ text, span: { start: 0, end: 0 } }));
    const { inputGiven } = session;
    const options = { host: programOnly, functionless: true, inputGiven };
    try {
      const stage = await stageOf(words, session, options);
      return await this.#simple({ stage, assigned: {} }, tested, run);
    } catch (error) {
      // Its words have no place in the text.
      throw error instanceof WordFailure ? error.cause : error;
    }
  }

  /** What the commands of a `$(…)` write. */
  async #capture(script: Script): Promise<string> {
    const evaluator = this.#evaluator;
    using pipe = makePipe();
    const session = evaluator.session.fork(evaluator.session.streams.with(1, pipe.writer.fd));
    const inner = evaluator.with({ session });
    const running = inner.subshell(script, false).finally(() => pipe.writer[Symbol.dispose]());
    running.catch(() => {}); // it is awaited below
    const text = await textOf(pipe.reader.fd, evaluator.signal);
    this.#captured = await running;
    return text.replaceAll("\0", "");
  }

  /**
   * Runs what the shell is to do at its end.
   *
   * @param status Its exit status so far
   * @returns Its exit status
   */
  async atExit(status: number): Promise<number> {
    const { session } = this.#evaluator;
    const trap = session.traps.get("EXIT");
    if (trap === undefined) return status;
    session.traps.delete("EXIT");
    session.status = status;
    try {
      await runLines(trap, undefined, this.#evaluator, true);
    } catch (thrown) {
      if (thrown instanceof Leave) return thrown.status;
      throw thrown;
    }
    return status;
  }
}
