/** What one call of the emulated host was asked to do. */
import { resolve } from "node:path";
import { Failure } from "./failure.ts";

/** The command line, read. Paths are absolute. */
export type Call = {
  command: string[];
  /** Folders that start empty inside and are copied back afterwards. */
  out: string[];
  /** Files and folders to bring besides the project. */
  in: string[];
  /** Zero for no limit. */
  timeoutSeconds: number;
};

export const USAGE = `Usage: scripts/emulated-host [OPTION]... COMMAND [ARGUMENT]...

Runs COMMAND as root on a copy of this project inside an emulated AMD machine whose /dev/kvm is
real. Its stdin, stdout, stderr and exit status are this command's own.

  --out DIR          make DIR empty inside, and copy it back here afterwards
  --in PATH          bring PATH too, to the same path inside
  --timeout SECONDS  end with 124 if COMMAND takes longer (600; 0 for no limit)
  --help             print this

Variables: HVSH_* and NO_COLOR are passed on, HVSH_EMULATED_HOST is 1 inside.
HVSH_EMULATED_MEM=MiB sets the memory of the machine (2048). Exit status 125: the machine failed, not COMMAND.`;

/**
 * Reads the command line. Options end where COMMAND begins.
 *
 * @param args the arguments of the script
 * @param cwd what relative paths are relative to
 * @returns the call, or "help"
 * @throws {Failure} with status 2 on wrong usage
 */
export function parseCall(args: string[], cwd: string): Call | "help" {
  const call: Call = { command: [], out: [], in: [], timeoutSeconds: 600 };
  const rest = [...args];
  for (;;) {
    const word = rest.shift();
    if (word === undefined) throw new Failure(`No COMMAND given\n${USAGE}`, 2);
    if (word === "--help") return "help";
    if (word === "--" || !word.startsWith("-")) {
      call.command = word === "--" ? rest : [word, ...rest];
      if (call.command.length === 0) throw new Failure(`No COMMAND given\n${USAGE}`, 2);
      return call;
    }
    const equals = word.indexOf("=");
    const option = equals < 0 ? word : word.slice(0, equals);
    const value = (): string => {
      const given = equals < 0 ? rest.shift() : word.slice(equals + 1);
      if (given === undefined || given === "") throw new Failure(`${option} needs a value`, 2);
      return given;
    };
    if (option === "--out") call.out.push(resolve(cwd, value()));
    else if (option === "--in") call.in.push(resolve(cwd, value()));
    else if (option === "--timeout") call.timeoutSeconds = seconds(value());
    else throw new Failure(`Unknown option ${option}\n${USAGE}`, 2);
  }
}

function seconds(text: string): number {
  const number = Number(text);
  // Timers of Deno hold 31 bits of milliseconds.
  if (!/^\d+(\.\d+)?$/.test(text) || number > 2_000_000) {
    throw new Failure(`Cannot use --timeout "${text}": it is a number of seconds up to 2000000`, 2);
  }
  return number;
}
