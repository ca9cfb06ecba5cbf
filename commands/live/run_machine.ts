/**
 * The life of a VM in its owner's process, with or without a person attached.
 *
 * @module
 */
import type { VmDocument } from "../../vmm/document.ts";
import type { VmEnd } from "../../vmm/end.ts";
import { Machine } from "../../vmm/machine.ts";
import type { VerbContext } from "../verb.ts";
import { LastLines } from "./last_lines.ts";
import { type Handle, Owner } from "./owner.ts";
import { attachInput, consoleInput, writeConsole } from "./terminal.ts";

/** How to run. */
export interface RunOptions {
  /** Wait before the first instruction. */
  readonly paused: boolean;
  /** Seconds until the VM is ended. */
  readonly timeout?: number;
}

const SHOWN_LINES = 10;
/** A detached console's log keeps between this and twice this many bytes. */
const LOG_BYTES = 4 * 2 ** 20;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Runs a VM with its console on this process's stdin and stdout.
 *
 * @param document What to run
 * @param options How; `stdinFree` says that stdin may be the console's
 * @param context Where the verb runs
 * @returns The exit status
 */
export async function runAttached(
  document: VmDocument,
  options: RunOptions & { readonly stdinFree: boolean },
  context: VerbContext,
): Promise<number> {
  await using machine = await Machine.create(document);
  const name = document.name;
  using owner = name === undefined ? undefined : new Owner(machine, name);
  const last = new LastLines();
  machine.console.attach((bytes) => {
    last.push(bytes);
    return writeConsole(bytes);
  });
  let signalled: number | undefined;
  const stopListening = onSignals((status) => {
    signalled ??= status;
    machine.stop();
  });
  const input = consoleInput(options.stdinFree);
  let restore = () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    machine.start(options);
    if (input !== undefined) restore = attachInput(machine, input, context.note);
    timer = armTimeout(machine, options.timeout);
    const end = await machine.ended;
    restore();
    await explain(end, options, last, context);
    return signalled ?? end.status;
  } finally {
    restore();
    clearTimeout(timer);
    stopListening();
    void owner;
  }
}

/**
 * Runs a VM with nobody attached: its console goes to a file in its folder.
 *
 * @param document What to run
 * @param options How
 * @param running Called with the handle once the VM runs
 * @returns The exit status
 */
export async function runDetached(
  document: VmDocument,
  options: RunOptions,
  running: (handle: Handle) => void,
): Promise<number> {
  await using machine = await Machine.create(document);
  const owner = new Owner(machine, document.name ?? `vm-${Deno.pid}`);
  const path = owner.directory.consoleLog;
  let size = 0;
  machine.console.attach((bytes) => {
    if (size > LOG_BYTES) { // the older half is still there under .old
      Deno.renameSync(path, `${path}.old`);
      size = 0;
    }
    Deno.writeFileSync(path, bytes, { append: true, mode: 0o600 });
    size += bytes.length;
  });
  const stopListening = onSignals(() => machine.stop());
  machine.start(options);
  running(owner.handle);
  const timer = armTimeout(machine, options.timeout);
  const end = await machine.ended;
  clearTimeout(timer);
  stopListening();
  owner.leave(end);
  return end.status;
}

function armTimeout(machine: Machine, seconds: number | undefined) {
  if (seconds === undefined) return undefined;
  return setTimeout(() => machine.stop("timeout"), seconds * 1000);
}

function onSignals(handle: (status: number) => void): () => void {
  const listeners = Object.entries(SIGNALS).map(([signal, status]) => {
    const listener = () => handle(status);
    Deno.addSignalListener(signal as Deno.Signal, listener);
    return () => Deno.removeSignalListener(signal as Deno.Signal, listener);
  });
  return () => listeners.forEach((remove) => remove());
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
    case "panic":
      context.note("hvsh run: the guest's kernel panicked");
      break;
  }
}

function showLast(last: LastLines, context: VerbContext): void {
  const lines = last.lines(SHOWN_LINES);
  if (lines.length === 0) return context.note("  the console has printed nothing");
  context.note("  the console's last lines:");
  for (const line of lines) context.note(`  | ${line}`);
}
