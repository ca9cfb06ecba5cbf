/**
 * GDB's `monitor` commands.
 *
 * @module
 */
import { HvshError } from "../../../ffi/errors.ts";
import { formatSize } from "../../size.ts";
import { RegisterFiles } from "../register_files.ts";
import { selectRegisters } from "../register_selection.ts";
import type { GdbTarget } from "./target.ts";

type Command = (target: GdbTarget, cpu: number, words: readonly string[]) => Promise<string>;

const COMMANDS: Readonly<Record<string, { readonly help: string; readonly run: Command }>> = {
  help: {
    help: "these words",
    run: () =>
      Promise.resolve(
        Object.entries(COMMANDS).map(([name, { help }]) => `${name.padEnd(18)}${help}\n`).join(""),
      ),
  },
  info: { help: "the VM, its vCPUs and breakpoints", run: info },
  regs: { help: "registers of the thread: groups or names, else the usual ones", run: regs },
  reset: {
    help: "start the VM anew, paused before its first instruction",
    run: async ({ machine }) => {
      await machine.reset();
      return "";
    },
  },
};

/**
 * Does what a `monitor` command says.
 *
 * @param target The VM
 * @param cpu The vCPU that is chosen
 * @param line The command
 * @returns What to show
 */
export async function monitor(target: GdbTarget, cpu: number, line: string): Promise<string> {
  const [name = "help", ...words] = line.trim().split(/\s+/).filter((word) => word !== "");
  if (!Object.hasOwn(COMMANDS, name)) return `There is no "${name}"; try monitor help\n`;
  try {
    return await COMMANDS[name]!.run(target, cpu, words);
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    return `${error.message}\n`;
  }
}

function info({ machine, debugger: debug, cpus }: GdbTarget): Promise<string> {
  const name = machine.document.name ?? "a VM";
  const breakpoints = debug.breakpoints.map(({ id, kind, how, address, hits }) =>
    `breakpoint ${id}: ${kind} at 0x${address.toString(16)}, ${how}, ${hits} hits\n`
  );
  return Promise.resolve(
    `${name}: ${machine.state}, ${cpus} vCPUs, ${formatSize(machine.memorySize)}\n` +
      breakpoints.join(""),
  );
}

async function regs(
  { machine }: GdbTarget,
  cpu: number,
  words: readonly string[],
): Promise<string> {
  return await machine.inspect(({ vcpus }) => {
    const files = new RegisterFiles(vcpus[cpu]!);
    const values = files.read(selectRegisters(files, words));
    return Object.entries(values)
      .map(([name, value]) => `${name.padEnd(18)}0x${value.toString(16)}\n`).join("");
  });
}
