/**
 * The life of a VM in its owner's process, with or without a person attached.
 *
 * @module
 */
import { ExitStatus, type VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";
import { onUnhandled } from "../unhandled_errors.ts";
import type { VerbContext } from "../verb.ts";
import type { Arrival } from "./arrival.ts";
import { ConsoleLog } from "./console_log.ts";
import { ConsoleTap } from "./console_tap.ts";
import { type Escape, parseEscape } from "./escape.ts";
import { EventLog } from "./event_log.ts";
import { LastLines } from "./last_lines.ts";
import { type Handle, Owner } from "./owner.ts";
import { onSignals } from "./signals.ts";
import { attachInput, consoleInput } from "./terminal.ts";

/** Makes the machine that is to run, not started. */
export type MakeMachine = () => Promise<Machine>;

/** How to run. */
export interface RunOptions {
  /** Wait before the first instruction. */
  readonly paused: boolean;
  /** Seconds until the VM is ended. */
  readonly timeout?: number;
  /** Leave no word of its end. Default false. */
  readonly rm?: boolean;
}

/** How to run with a person attached. */
export interface AttachedOptions extends RunOptions {
  /** Stdin may be the console's. */
  readonly stdinFree: boolean;
  /** The key that ends the VM; `^]` if left out. */
  readonly escape?: string;
}

const SHOWN_LINES = 10;
/** setTimeout's own limit. */
const MOST_DELAY = 2 ** 31 - 1;
const SIGPIPE_STATUS = 141;

/**
 * Runs a VM with its console on this process's stdin and stdout.
 *
 * @param make Makes what to run
 * @param options How
 * @param context Where the verb runs
 * @returns The exit status
 */
export async function runAttached(
  make: MakeMachine,
  options: AttachedOptions,
  context: VerbContext,
): Promise<number> {
  const escape = parseEscape(options.escape);
  await using machine = await make();
  const { document } = machine;
  const watched = { console: new ConsoleTap(machine), events: new EventLog(machine) };
  await using owner = new AsyncDisposableStack();
  const own = (name: string) =>
    owner.use(new Owner(machine, name, { ...watched, foreground: true })).serve();
  if (document.name !== undefined) own(document.name);
  machine.listen((device, event) => {
    // What concerns the VM itself is said at its end.
    if (device === "" || event.message === undefined) return;
    context.note(`hvsh run: ${device}: ${event.message}`);
  });
  const last = new LastLines();
  let unwritten: unknown;
  machine.console.attach((bytes) => {
    last.push(bytes);
    // A console that nobody takes any more ends its VM, as SIGPIPE would.
    return context.write(bytes).catch((error) => {
      unwritten ??= error;
      machine.stop();
    });
  });
  machine.start({ paused: options.paused, sprint: true });
  // Most boot sectors are through already; only what goes on needs hands on it.
  if (!machine.stopping && document.name === undefined) own(ownName());
  using hands = machine.stopping ? undefined : new Hands(machine, { ...options, escape }, context);
  const end = await machine.ended;
  hands?.[Symbol.dispose]();
  if (unwritten instanceof Deno.errors.BrokenPipe) return SIGPIPE_STATUS;
  if (unwritten !== undefined && !context.signal.aborted) throw unwritten;
  await explain(end, options, last, context);
  return hands?.signalled ?? end.status;
}

/** What a person has of a VM in the foreground: signals, input, a time limit. */
class Hands implements Disposable {
  /** The exit status for the signal that ended it. */
  signalled: number | undefined;
  readonly #undo = new DisposableStack();

  constructor(
    machine: Machine,
    options: RunOptions & { readonly stdinFree: boolean; readonly escape: Escape },
    context: VerbContext,
  ) {
    const undo = this.#undo;
    undo.defer(onSignals((status) => {
      this.signalled ??= status;
      machine.stop();
    }));
    const stop = () => machine.stop();
    context.signal.addEventListener("abort", stop);
    undo.defer(() => context.signal.removeEventListener("abort", stop));
    undo.defer(limitTime(machine, options.timeout));
    const input = consoleInput(options.stdinFree, context);
    if (input === undefined) return;
    undo.defer(attachInput(input, {
      send: (bytes) => machine.console.send(bytes),
      escape: options.escape,
      leaving: "ends the VM",
      left: () => void machine.stop(),
      note: (text) => context.note(text),
    }));
  }

  [Symbol.dispose](): void {
    this.#undo.dispose();
  }
}

/**
 * Runs a VM with nobody attached: its console goes to a file in its folder.
 *
 * @param make Makes what to run
 * @param options How
 * @param running Called with the handle once the VM runs
 * @param arrival Where it comes from, if it runs elsewhere until then
 * @returns The exit status
 */
export async function runDetached(
  make: MakeMachine,
  options: RunOptions,
  running: (handle: Handle) => void,
  arrival?: Arrival,
): Promise<number> {
  await using machine = await make();
  const watched = { console: new ConsoleTap(machine), events: new EventLog(machine) };
  const name = machine.document.name ?? ownName();
  await using owner = new Owner(machine, name, { ...watched, foreground: false });
  const log = new ConsoleLog(owner.directory.consoleLog);
  machine.console.attach((bytes) => log.write(bytes));
  const events = new ConsoleLog(owner.directory.events);
  const encoder = new TextEncoder();
  watched.events.copyTo((event) => events.write(encoder.encode(JSON.stringify(event) + "\n")));
  const stopListening = onSignals(() => machine.stop());
  const stopFailing = onUnhandled((error) => machine.fail(error));
  if (arrival === undefined) machine.start(options);
  else await arrival.start(machine, options.paused);
  owner.serve();
  running(owner.handle);
  const unlimit = limitTime(machine, options.timeout);
  try {
    const end = await machine.ended;
    if (options.rm !== true) owner.leave(end);
    return end.status;
  } catch (error) {
    if (options.rm !== true) owner.fail(error);
    throw error;
  } finally {
    unlimit();
    stopListening();
    stopFailing();
  }
}

let unnamed = 0;

/** A name for a VM that was given none; a shell may own several of them. */
function ownName(): string {
  unnamed++;
  return unnamed === 1 ? `vm-${Deno.pid}` : `vm-${Deno.pid}-${unnamed}`;
}

function limitTime(machine: Machine, seconds: number | undefined): () => void {
  if (seconds === undefined) return () => {};
  const end = performance.now() + seconds * 1000;
  let timer: ReturnType<typeof setTimeout>;
  const wait = () => {
    const left = Math.max(0, end - performance.now());
    timer = left > MOST_DELAY
      ? setTimeout(wait, MOST_DELAY)
      : setTimeout(() => machine.stop("timeout"), left);
  };
  wait();
  return () => clearTimeout(timer);
}

/** Says on stderr why a VM ended, unless it ended well. */
async function explain(
  end: VmEnd,
  options: RunOptions,
  last: LastLines,
  context: VerbContext,
): Promise<void> {
  switch (end.kind) {
    case "timeout":
      context.note(`hvsh run: timeout after ${options.timeout} s`);
      showLast(last, context);
      break;
    case "triple-fault":
    case "fault": {
      const { describeFault } = await import("../../vmm/fault_report.ts");
      if (end.fault !== undefined) context.note(`hvsh run: ${await describeFault(end.fault)}`);
      break;
    }
    case "exit":
      break;
    case "migrated":
      context.note("hvsh run: the VM has been migrated and runs elsewhere");
      break;
    default: // a kernel that reboots on a panic ends by a reset
      if (end.status === ExitStatus.PANIC) context.note("hvsh run: the guest's kernel panicked");
  }
}

function showLast(last: LastLines, context: VerbContext): void {
  const lines = last.lines(SHOWN_LINES);
  if (lines.length === 0) return context.note("  the console has printed nothing");
  context.note("  the console's last lines:");
  for (const line of lines) context.note(`  | ${line}`);
}
