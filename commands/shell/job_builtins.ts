/**
 * The words about jobs. `wait` and `kill` are verbs for VMs too: numbers and `%1` are the shell's.
 *
 * @module
 */
import { sendSignal } from "../../ffi/spawn.ts";
import { UsageError } from "../../ffi/errors.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { atMost } from "./builtin_usage.ts";
import type { Job } from "./jobs.ts";
import type { Session } from "./session.ts";
import { endsPrograms, signalNames, signalNumber } from "./signal_names.ts";

const SIGTERM = 15;
/** Exit status of a `wait` for what is no job of this shell (XCU, wait). */
const UNKNOWN = 127;
const JOB = /^(%.*|[0-9]+)$/;

/** These words. */
export const jobBuiltins: Readonly<Record<string, Builtin>> = {
  jobs: { usage: "", summary: "List what runs in the background", run: jobs },
  fg: { usage: "[%JOB]", summary: "Wait for a job in the foreground", run: foreground },
  bg: {
    usage: "[%JOB]",
    summary: "Let a stopped job go on",
    run: (words, { session }) => {
      atMost(1, words, "bg [%JOB]");
      session.jobs.find(words[0]).resume();
      return 0;
    },
  },
  wait: {
    usage: "[%JOB | PID]…",
    summary: "Wait for jobs; with names, for VMs",
    accepts: (words, session) =>
      words.length === 0
        ? session.current === undefined || session.jobs.all.length > 0
        : words.every((word) => JOB.test(word)),
    run: wait,
  },
  kill: {
    usage: "[-SIGNAL] %JOB | PID…",
    summary: "Send a signal; with names, end VMs",
    accepts: ([first], session) =>
      first === undefined
        ? session.current === undefined
        : JOB.test(first) || (/^-./.test(first) && !first.startsWith("--") && first !== "-h"),
    run: kill,
  },
};

async function jobs(words: readonly string[], { session, context }: BuiltinPlace): Promise<number> {
  atMost(0, words.filter((word) => word !== "-l" && word !== "-p"), "jobs");
  for (const job of [...session.jobs.all]) {
    await context.print(`[${job.id}] ${job.state.padEnd(10)} ${job.text}\n`);
    if (job.status !== undefined) session.jobs.remove(job);
  }
  return 0;
}

async function foreground(
  words: readonly string[],
  { session, context }: BuiltinPlace,
): Promise<number> {
  atMost(1, words, "fg [%JOB]");
  const job = session.jobs.find(words[0]);
  session.note(job.text);
  job.resume();
  // ^C is for it, as for any command in the foreground.
  const interrupt = () => job.kill(signalNumber("INT")!, true);
  context.signal.addEventListener("abort", interrupt);
  const status = await job.ended;
  context.signal.removeEventListener("abort", interrupt);
  session.jobs.remove(job);
  return status;
}

async function wait(
  words: readonly string[],
  { session, context }: BuiltinPlace,
): Promise<number> {
  const jobs = words.length === 0
    ? [...session.jobs.all]
    : words.map((word) => known(word, session));
  let status = 0;
  const interrupted = Promise.withResolvers<undefined>();
  const interrupt = () => interrupted.resolve(undefined);
  context.signal.addEventListener("abort", interrupt);
  for (const job of jobs) {
    const ended = job === undefined
      ? UNKNOWN
      : await Promise.race([job.ended, interrupted.promise]);
    if (ended === undefined) break;
    status = words.length === 0 ? 0 : ended;
    if (job !== undefined) session.jobs.remove(job);
  }
  context.signal.removeEventListener("abort", interrupt);
  return status;
}

function known(word: string, session: Session): Job | undefined {
  return word.startsWith("%")
    ? session.jobs.find(word)
    : session.jobs.all.find(({ pid }) => pid === Number(word));
}

async function kill(words: readonly string[], { session, context }: BuiltinPlace): Promise<number> {
  let [first, ...targets] = words;
  let signal = SIGTERM;
  if (first === "-l") {
    const number = Number(targets[0] ?? 0) & 0x7f;
    const names = number === 0 ? signalNames : [signalNames[number - 1] ?? String(number)];
    await context.print(`${names.join("\n")}\n`);
    return 0;
  }
  if (first?.startsWith("-") === true && first !== "--") {
    const name = first === "-s" ? targets.shift() : first.slice(1);
    const number = signalNumber(name ?? "");
    if (number === undefined) {
      throw new UsageError(`There is no signal ${name}`, { hint: "kill -l" });
    }
    signal = number;
  } else if (first !== undefined && first !== "--") targets = [first, ...targets];
  if (targets[0] === "--") targets.shift();
  if (targets.length === 0) {
    throw new UsageError("Name a job or a process, or a VM", { hint: "kill %1, or kill NAME" });
  }
  for (const target of targets) send(target, signal, session);
  return 0;
}

function send(target: string, signal: number, session: Session): void {
  const job = known(target, session);
  if (job !== undefined && job.status === undefined) return job.kill(signal, endsPrograms(signal));
  if (!/^-?[0-9]+$/.test(target)) {
    throw new UsageError(`"${target}" is no process`, { hint: "hvsh kill NAME ends a VM" });
  }
  sendSignal(Number(target), signal);
}
