/**
 * The life of a VM in its owner's process, with or without a person attached.
 *
 * @module
 */
import type { DeviceEvent } from "../../vmm/device.ts";
import type { VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";
import { onUnhandled } from "../unhandled_errors.ts";
import type { VerbContext } from "../verb.ts";
import type { Arrival } from "./arrival.ts";
import { ConsoleLog } from "./console_log.ts";
import { ConsoleTap } from "./console_tap.ts";
import { type Escape, parseEscape } from "./escape.ts";
import { EventLog } from "./event_log.ts";
import { explainEnd } from "./explain_end.ts";
import { LastLines } from "./last_lines.ts";
import { type Handle, Owner } from "./owner.ts";
import { onSignals } from "./signals.ts";
import { attachInput, type ConsoleInput, consoleInput } from "./terminal.ts";

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

/** Where the streams of a VM in the foreground lead, and what is made of its end. */
export interface Front {
  /** Takes what a device has said; a promise holds that device's further output back. */
  output(bytes: Uint8Array<ArrayBuffer>, device: string): void | Promise<void>;
  /** What is typed, and for which device if that is fixed; asked for once, when the VM runs. */
  readonly input: { readonly from: ConsoleInput; readonly to?: string } | undefined;
  /** Told of the machine before it starts, and gives what is to be undone at its end. */
  begin?(machine: Machine): Disposable;
  /** Told of what happens to a device. */
  happened?(machine: Machine, device: string, event: DeviceEvent): void;
  /**
   * Says why it ended.
   *
   * @param end How
   * @returns The exit status
   */
  explain(end: VmEnd): Promise<number>;
}

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
  return await runInFront(make, options, new ConsoleFront(options, context), context);
}

/**
 * Runs a VM in the foreground: until it ends, or a signal or its readers' end ends it.
 *
 * @param make Makes what to run
 * @param options How
 * @param front Where its streams lead
 * @param context Where the verb runs
 * @returns The exit status
 */
export async function runInFront(
  make: MakeMachine,
  options: RunOptions & Pick<AttachedOptions, "escape">,
  front: Front,
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
    front.happened?.(machine, device, event);
    // What concerns the VM itself is said at its end.
    if (device === "" || event.message === undefined) return;
    context.note(`hvsh run: ${device}: ${event.message}`);
  });
  let unwritten: unknown;
  machine.console.attach((bytes, device) =>
    // A console that nobody takes any more ends its VM, as SIGPIPE would.
    front.output(bytes, device)?.catch((error) => {
      unwritten ??= error;
      machine.stop();
    })
  );
  using _begun = front.begin?.(machine);
  machine.start({ paused: options.paused, sprint: true });
  // Most boot sectors are through already; only what goes on needs hands on it.
  if (!machine.stopping && document.name === undefined) own(ownName());
  using hands = machine.stopping
    ? undefined
    : new Hands(machine, { ...options, escape, input: front.input }, context);
  const end = await machine.ended;
  hands?.[Symbol.dispose]();
  if (unwritten instanceof Deno.errors.BrokenPipe) return SIGPIPE_STATUS;
  if (unwritten !== undefined && !context.signal.aborted) throw unwritten;
  const status = await front.explain(end);
  return hands?.signalled ?? status;
}

/** The guest's consoles are this process's stdout, and the stage's input theirs. */
class ConsoleFront implements Front {
  readonly #options: AttachedOptions;
  readonly #context: VerbContext;
  readonly #last = new LastLines();

  constructor(options: AttachedOptions, context: VerbContext) {
    this.#options = options;
    this.#context = context;
  }

  get input(): Front["input"] {
    const from = consoleInput(this.#options.stdinFree, this.#context);
    return from && { from };
  }

  output(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#last.push(bytes);
    return this.#context.write(bytes);
  }

  async explain(end: VmEnd): Promise<number> {
    await explainEnd(end, this.#options, this.#last, this.#context);
    return end.status;
  }
}

/** What a person has of a VM in the foreground: signals, input, a time limit. */
class Hands implements Disposable {
  /** The exit status for the signal that ended it. */
  signalled: number | undefined;
  readonly #undo = new DisposableStack();

  constructor(
    machine: Machine,
    options: RunOptions & { readonly input: Front["input"]; readonly escape: Escape },
    context: VerbContext,
  ) {
    const undo = this.#undo;
    // A shell is told of signals itself, and tells by the context's.
    if (context.shared !== true) {
      undo.defer(onSignals((status) => {
        this.signalled ??= status;
        machine.stop();
      }));
    }
    const stop = () => machine.stop();
    context.signal.addEventListener("abort", stop);
    undo.defer(() => context.signal.removeEventListener("abort", stop));
    undo.defer(limitTime(machine, options.timeout));
    const { input } = options;
    if (input === undefined) return;
    undo.defer(attachInput(input.from, {
      send: (bytes) => machine.console.send(bytes, input.to),
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
