/**
 * A person, or a pipe, at the console of a VM that runs in another process.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { Meter } from "../progress/meter.ts";
import type { VerbContext } from "../verb.ts";
import type { Escape } from "./escape.ts";
import { follow } from "./json_rpc.ts";
import type { Expected } from "./methods/console.ts";
import { RpcConnection } from "./rpc_connection.ts";
import type { RunDirectory } from "./run_directory.ts";
import { onSignals } from "./signals.ts";
import { attachInput, type ConsoleInput } from "./terminal.ts";

const TIMEOUT_STATUS = 124;

/** How to attach. */
export interface AttachOptions {
  readonly escape: Escape;
  /** Where input comes from, if there is any. */
  readonly input: ConsoleInput | undefined;
  /** Begin with what was said lately. */
  readonly backlog: boolean;
}

/**
 * Attaches to a console until its VM ends, or the person leaves, or is sent away.
 *
 * @param vm The VM
 * @param options How
 * @param context Where the output goes
 * @returns The exit status
 * @throws {VmError} If the VM's process dies
 */
export async function attachConsole(
  vm: RunDirectory,
  { escape, input, backlog }: AttachOptions,
  context: VerbContext,
): Promise<number> {
  const leaving = new AbortController();
  let signalled: number | undefined;
  using undo = new DisposableStack();
  undo.defer(onSignals((status) => {
    signalled ??= status;
    leaving.abort();
  }));
  const leave = () => leaving.abort();
  context.signal.addEventListener("abort", leave);
  undo.defer(() => context.signal.removeEventListener("abort", leave));
  const params = { detachable: true, ...(backlog ? { from: 0 } : {}) };
  const output = follow(vm.control, "console.attach", params, leaving.signal);
  for (;;) {
    const { done, value } = await output.next();
    if (done) {
      undo.dispose(); // the terminal first, then words for the person
      if (input?.setRaw !== undefined) context.note(farewell(vm.name, value));
      return signalled ?? 0;
    }
    if (value.method === "attached") {
      if (input !== undefined) undo.defer(await give(vm, input, escape, leave, context));
    } else await context.write(outputBytes(value.params));
  }
}

/** Feeds input; gives a function that puts the terminal back. */
async function give(
  vm: RunDirectory,
  input: ConsoleInput,
  escape: Escape,
  left: () => void,
  context: VerbContext,
): Promise<() => void> {
  const connection = await RpcConnection.open(vm.control);
  const putBack = attachInput(input, {
    send: async (bytes) => {
      const data = bytes.toBase64();
      await connection.call("console.send", { data }).catch((error) => {
        // That the VM has ended is said by its output, which ends too.
        if (!(error instanceof VmError)) throw error;
      });
    },
    escape,
    leaving: "leaves the VM running",
    left,
    note: (text) => context.note(text),
  });
  return () => {
    putBack();
    connection[Symbol.dispose]();
  };
}

function farewell(name: string, why: unknown): string {
  switch (why) {
    case "ended":
      return `hvsh: ${name} has ended`;
    case "detached":
      return `hvsh: detached from ${name}, which runs on`;
    default:
      return `hvsh: left ${name}, which runs on`;
  }
}

/**
 * Shows a console until it has said some text.
 *
 * @param vm The VM
 * @param text The text
 * @param seconds How long to wait
 * @param context Where the output goes
 * @returns The exit status
 * @throws {VmError} If the VM ends before
 */
export async function expectText(
  vm: RunDirectory,
  text: string,
  seconds: number | undefined,
  context: VerbContext,
): Promise<number> {
  const params = { text, seconds: seconds ?? Number.MAX_SAFE_INTEGER };
  const output = follow(vm.control, "console.expect", params, context.signal);
  using _meter = new Meter(context, {
    ...{ label: vm.name, phase: `waiting for ${JSON.stringify(text)}`, prints: true },
    limit: seconds === undefined ? undefined : seconds * 1000,
  });
  for (;;) {
    const { done, value } = await output.next();
    if (!done) {
      await context.write(outputBytes(value.params));
      continue;
    }
    if (value === "found" satisfies Expected) return 0;
    const what = `${JSON.stringify(text)} was not printed`;
    if (value !== "late") throw new VmError(`${what}: ${vm.name} has ended`);
    context.note(`hvsh console: ${what} within ${seconds} s`);
    return TIMEOUT_STATUS;
  }
}

/**
 * The bytes of an `output` notification.
 *
 * @param params Its parameters
 */
export function outputBytes(params: unknown): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64((params as { data: string }).data);
}
