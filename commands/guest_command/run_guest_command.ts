/**
 * `hvsh run … -- COMMAND`: a VM that runs one command in the host's files, whose streams and status are
 * this process's own.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { commandInit } from "../../vmm/boot/guest_init/command_init.ts";
import type { DeviceEntry, VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { runInFront, type RunOptions } from "../live/run_machine.ts";
import { freeName } from "../named_device.ts";
import type { VerbContext } from "../verb.ts";
import { CommandFront } from "./command_front.ts";
import { commandShares } from "./command_shares.ts";
import { CommandStreams, planStreams } from "./command_streams.ts";
import { commandEnvironment } from "./environment.ts";
import { firstFiles, INIT_PATH, MemoryFile, modulePath } from "./first_files.ts";
import { kernelDrivers } from "./kernel_drivers.ts";

/** What to run, and how. */
export interface CommandOptions extends RunOptions {
  /** The command's words. */
  readonly argv: readonly string[];
  /** The folder of the kernel's modules, if the person says. */
  readonly modules?: string;
  /** Show what the kernel says, on stderr. */
  readonly verbose: boolean;
  /** Stdin is not taken by a document. */
  readonly stdinFree: boolean;
  /** The key that ends the VM, at a terminal. */
  readonly escape?: string;
}

/**
 * Runs a command in a VM.
 *
 * @param document The VM, with its kernel
 * @param options The command
 * @param context Where the verb runs
 * @returns The command's status; 127 if there is none, 126 if it cannot be executed, 128 + n if signal
 *   n ended it
 * @throws {HvshError} If it could not be run
 */
export async function runGuestCommand(
  document: VmDocument,
  options: CommandOptions,
  context: VerbContext,
): Promise<number> {
  const kernel = document.boot?.kernel?.path;
  if (kernel === undefined) {
    throw new UsageError("A command wants a Linux kernel to run in", {
      hint: "hvsh run bzImage -- uname -r",
    });
  }
  const name = nameOf(document, "command");
  const plan = planStreams(options.stdinFree, context);
  const cwd = Deno.realPathSync(context.cwd);
  const shares = commandShares(document, cwd);
  const devices = [...document.devices ?? [], ...shares.added];
  const drivers = await kernelDrivers(kernel, devices, options.modules);
  const environment = commandEnvironment(Deno.env.toObject());
  const { program, steps } = commandInit({
    argv: options.argv,
    env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    path: environment.PATH,
    cwd,
    hostname: document.name ?? "hvsh",
    ...{ root: shares.root, shares: shares.shares, ownFolders: shares.ownFolders },
    modules: drivers.modules.map(modulePath),
    ...plan,
  });
  using files = new MemoryFile("hvsh-init", firstFiles(program, drivers.modules));
  await using streams = new CommandStreams(plan, options.stdinFree, name, context);
  const whole = withCommand(document, streams.entry, devices, files.path, options.verbose);
  const front = new CommandFront({ ...options, ...plan, device: name, steps, drivers }, context);
  return await runInFront(() => Machine.create(whole), options, front, context);
}

/** The console comes first, so that it is the first virtio device of the guest too: `vport0p1`, `hvc0`. */
function withCommand(
  document: VmDocument,
  console: DeviceEntry,
  devices: readonly DeviceEntry[],
  initrd: string,
  verbose: boolean,
): VmDocument {
  const { boot } = document;
  const own = [...(verbose ? [] : ["quiet"]), `rdinit=${INIT_PATH}`];
  return {
    ...document,
    reboot: "exit",
    boot: {
      ...boot,
      initrd: [...boot?.initrd ?? [], initrd],
      cmdline: [...own, ...(boot?.cmdline === undefined ? [] : [boot.cmdline])].join(" "),
    },
    devices: [console, ...devices],
  };
}

function nameOf(document: VmDocument, name: string): string {
  const taken = document.devices?.some((device) => device.name === name);
  return taken === true ? freeName(document, name) : name;
}
