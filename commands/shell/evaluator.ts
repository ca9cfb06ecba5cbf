/**
 * Runs a tree (POSIX.1-2017 XCU 2.8 and 2.9).
 *
 * @module
 */
import { match } from "ts-pattern";
import type { Origin } from "./complaint.ts";
import { CommandRunner } from "./command_runner.ts";
import { Interrupted, Leave, LoopExit, Return } from "./control_flow.ts";
import type { Job } from "./jobs.ts";
import { matches } from "./pattern.ts";
import { startJob } from "./background.ts";
import type { Session } from "./session.ts";
import type {
  CaseCommand,
  Command,
  CompoundCommand,
  ForCommand,
  IfCommand,
  List,
  LoopCommand,
  Pipeline,
  Script,
} from "./tree.ts";

/** What a process can say at its end (exit(3)); a function may return more. */
const MOST_STATUS = 0xff;

/** Runs trees that were parsed from one text, in one shell. */
export class Evaluator {
  readonly origin: Origin;
  readonly session: Session;
  readonly signal: AbortSignal;
  /** The job that it belongs to; undefined in the foreground. */
  readonly job: Job | undefined;
  /** Where in the text the command begins that runs. */
  at = 0;
  readonly #commands: CommandRunner;

  /**
   * @param origin The text
   * @param session The shell
   * @param signal Aborts when the person interrupts
   * @param job The job that it belongs to
   */
  constructor(origin: Origin, session: Session, signal: AbortSignal, job?: Job) {
    this.origin = origin;
    this.session = session;
    this.signal = signal;
    this.job = job;
    this.#commands = new CommandRunner(this);
  }

  /**
   * Another that runs in a subshell, or a text from elsewhere.
   *
   * @param own What differs
   * @returns It
   */
  with(own: { origin?: Origin; session?: Session; signal?: AbortSignal; job?: Job }): Evaluator {
    const { origin = this.origin, session = this.session, signal = this.signal } = own;
    return new Evaluator(origin, session, signal, own.job ?? this.job);
  }

  /**
   * Runs lists.
   *
   * @param script The lists
   * @param tested Whether somebody asks for the status, so that a failure is an answer
   * @returns The exit status of the last
   */
  async script(script: Script, tested: boolean): Promise<number> {
    const { session } = this;
    for (const list of script.lists) {
      if (list.background) {
        await startJob(list, this);
        session.status = 0;
      } else await this.list(list, tested);
    }
    return session.status;
  }

  /**
   * Runs a list to its end.
   *
   * @param list The list
   * @param tested Whether somebody asks for the status
   * @returns Its exit status
   */
  async list({ first, rest }: List, tested: boolean): Promise<number> {
    const { session } = this;
    let last = first;
    await this.#pipeline(first, tested || rest.length > 0);
    for (const [i, { operator, pipeline }] of rest.entries()) {
      const end = i === rest.length - 1;
      if ((operator === "&&") === (session.status === 0)) {
        await this.#pipeline(pipeline, tested || !end);
        last = pipeline;
      } else if (end) return session.status; // a failure before `&&` is an answer
    }
    if (session.status !== 0 && !tested && session.options.errexit && endsShell(last)) {
      throw new Leave(session.status);
    }
    return session.status;
  }

  /**
   * Runs lists in a subshell, which this is.
   *
   * @param script The lists
   * @param tested Whether somebody asks for the status
   * @returns The exit status
   */
  async subshell(script: Script, tested: boolean): Promise<number> {
    return await this.contained(async () =>
      script.lists.length === 0 ? 0 : await this.script(script, tested)
    );
  }

  /**
   * Runs something that what leaves the shell leaves, and no more.
   *
   * @param run Runs it
   * @returns Its exit status
   */
  async contained(run: () => Promise<number>): Promise<number> {
    let status: number;
    try {
      status = await run();
    } catch (thrown) {
      if (thrown instanceof Leave && thrown.killed) this.session.traps.clear();
      if (thrown instanceof Leave || thrown instanceof Return) ({ status } = thrown);
      else if (thrown instanceof LoopExit) status = 0;
      else throw thrown;
    }
    try {
      return await this.#commands.atExit(status) & MOST_STATUS;
    } finally {
      this.session.files[Symbol.dispose]();
    }
  }

  /**
   * Runs one command, in the shell itself.
   *
   * @param command The command
   * @param tested Whether somebody asks for the status
   * @returns Its exit status
   */
  command(command: Command, tested: boolean): Promise<number> {
    return this.#commands.single(command, tested);
  }

  /** Ends the line if the person has interrupted it. */
  checkInterrupted(): void {
    if (this.signal.aborted) throw new Interrupted();
  }

  async #pipeline({ commands, negated }: Pipeline, tested: boolean): Promise<void> {
    const { session } = this;
    this.checkInterrupted();
    const [only] = commands;
    const asked = tested || negated;
    const status = commands.length === 1
      ? await this.#commands.single(only!, asked)
      : await this.#commands.pipeline(commands, asked);
    this.checkInterrupted();
    session.status = negated ? Number(status === 0) : status;
  }

  /**
   * Runs a compound command whose redirections are in place.
   *
   * @param command The command
   * @param tested Whether somebody asks for the status
   * @returns Its exit status
   */
  compound(command: CompoundCommand, tested: boolean): Promise<number> {
    return match(command)
      .with({ kind: "group" }, ({ body }) => this.script(body, tested))
      .with({ kind: "subshell" }, async ({ body }) => {
        return await this.with({ session: this.session.fork() }).subshell(body, tested);
      })
      .with({ kind: "if" }, (command) => this.#if(command, tested))
      .with({ kind: "for" }, (command) => this.#for(command, tested))
      .with({ kind: "while" }, { kind: "until" }, (command) => this.#loop(command, tested))
      .with({ kind: "case" }, (command) => this.#case(command, tested))
      .with({ kind: "function" }, ({ name, body }) => {
        this.session.functions.set(name, { body, origin: this.origin });
        return Promise.resolve(0);
      })
      .exhaustive();
  }

  async #if({ branches, otherwise }: IfCommand, tested: boolean): Promise<number> {
    for (const { condition, body } of branches) {
      if (await this.script(condition, true) === 0) return await this.script(body, tested);
    }
    return otherwise === undefined ? 0 : await this.script(otherwise, tested);
  }

  async #for({ name, words, body }: ForCommand, tested: boolean): Promise<number> {
    const { session } = this;
    const values = words === undefined ? session.words : await this.#commands.words(words);
    let status = 0;
    await this.#rounds(async (round) => {
      for (const value of values) {
        session.variables.set(name, value);
        await round(async () => {
          status = 0; // which `break` and `continue` leave
          status = await this.script(body, tested);
        });
      }
    });
    return status;
  }

  async #loop({ kind, condition, body }: LoopCommand, tested: boolean): Promise<number> {
    let status = 0;
    await this.#rounds(async (round) => {
      for (let over = false; !over;) {
        await round(async () => {
          over = (await this.script(condition, true) === 0) !== (kind === "while");
          if (over) return;
          status = 0; // which `break` and `continue` leave
          status = await this.script(body, tested);
        });
      }
    });
    return status;
  }

  /** Runs a loop, which `break` and `continue` of its rounds are about. */
  async #rounds(
    loop: (round: (body: () => Promise<void>) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { session } = this;
    const round = async (body: () => Promise<void>) => {
      await turn();
      this.checkInterrupted();
      try {
        await body();
      } catch (thrown) {
        if (!(thrown instanceof LoopExit) || !thrown.again || thrown.levels > 1) throw thrown;
      }
    };
    session.loops++;
    try {
      await loop(round);
    } catch (thrown) {
      if (!(thrown instanceof LoopExit)) throw thrown;
      if (thrown.levels > 1 && session.loops > 1) {
        throw new LoopExit(thrown.levels - 1, thrown.again);
      }
    } finally {
      session.loops--;
    }
  }

  async #case({ word, items }: CaseCommand, tested: boolean): Promise<number> {
    const text = await this.#commands.expander.whole(word);
    for (const { patterns, body } of items) {
      for (const pattern of patterns) {
        if (!matches(await this.#commands.expander.pattern(pattern), text)) continue;
        return body.lists.length === 0 ? 0 : await this.script(body, tested);
      }
    }
    return 0;
  }
}

/**
 * Whether its failure is one of its own: that of a compound command was one of a command in it,
 * which had its chance (XCU 2.14, set -e).
 */
function endsShell({ commands, negated }: Pipeline): boolean {
  const [only] = commands as [Command];
  return !negated && (commands.length > 1 || only.kind === "simple" || only.kind === "subshell");
}

/** How long a loop may keep everything else waiting. */
const TURN_MILLISECONDS = 10;
let turned = 0;

/** Lets signals and other stages through, which a loop of nothing but built-ins would keep out. */
async function turn(): Promise<void> {
  if (performance.now() - turned < TURN_MILLISECONDS) return;
  await new Promise((resolve) => setTimeout(resolve));
  turned = performance.now();
}
