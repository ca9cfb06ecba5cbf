/**
 * The parts of a guest's first process that become the command, as execvp(3) and a shell do, and that
 * wait for its end.
 *
 * @module
 */
import { Errno } from "../../../ffi/errno.ts";
import { Port } from "../../board.ts";
import type { GuestCommand } from "./guest_command.ts";
import { Label, Op, type Place, Result } from "./init_program.ts";
import type { InitRows } from "./init_rows.ts";
import type { PumpRows } from "./pump_rows.ts";
import { SIGKILL, Sys, Wait } from "./syscalls.ts";

/** Statuses of a command that did not start, as a shell has them (POSIX.1-2017 XCU 2.8.2). */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
/** What a shell adds to the number of a signal. */
const SIGNALLED = 128;

/**
 * Adds the rows of the command's process: it never comes behind them.
 *
 * @param rows The first process
 * @param command The command
 */
export function executeRows({ program, last }: InitRows, command: GuestCommand): void {
  const [name = "", ...rest] = command.argv;
  const argv = program.texts(command.argv);
  const env = program.texts(command.env);
  const refused = program.zeros(8);
  const say = (words: string, status: number) => {
    const text = new TextEncoder().encode(`hvsh run: ${name}: ${words}\n`);
    program.call(Sys.write, [2, program.bytes(text), text.length]);
    program.call(Sys.exit, [status]);
  };
  for (const path of candidates(name, command.path)) {
    const [script, next] = [new Label(), new Label()];
    const file = program.text(path);
    program.call(Sys.execve, [file, argv, env], { store: last });
    const failedWith = (errno: number, label: Label) => {
      const result = new Result();
      program.call(Op.LOAD, [last], { store: result });
      program.call(Op.SUBTRACT, [result, -errno], { zero: label });
    };
    failedWith(Errno.ENOENT, next);
    failedWith(Errno.ENOTDIR, next);
    failedWith(Errno.ENOEXEC, script);
    program.call(Op.SUBTRACT, [1, 0], { store: refused });
    program.goTo(next);
    // A file without an interpreter's name is the shell's.
    program.place(script);
    program.call(Sys.execve, [program.text("/bin/sh"), program.texts(["sh", path, ...rest]), env]);
    program.call(Op.SUBTRACT, [1, 0], { store: refused });
    program.place(next);
  }
  const notExecutable = new Label();
  program.call(Op.LOAD, [refused], { positive: notExecutable });
  say("not found", NOT_FOUND);
  program.place(notExecutable);
  say("it cannot be executed", NOT_EXECUTABLE);
}

/** The files that a word may mean. */
function candidates(name: string, path: string): string[] {
  if (name === "") return [];
  if (name.includes("/")) return [name];
  return path.split(":").map((folder) => `${folder === "" ? "." : folder}/${name}`);
}

/**
 * Adds the rows that wait for the command, end all else that runs, and tell the command's status.
 *
 * @param rows The first process
 * @param child The command's process
 * @param pumps Its streams
 */
export function statusRows({ program }: InitRows, child: Result, pumps: PumpRows): void {
  const info = program.zeros(Wait.SIGINFO_BYTES);
  const field = (offset: number): Place => ({ ...info, offset: info.offset + offset });
  const load = (offset: number) => {
    const value = new Result();
    program.call(Op.LOAD, [field(offset)], { store: value });
    return value;
  };
  const [again, ended, signalled, tell] = [new Label(), new Label(), new Label(), new Label()];
  const status = new Result();
  // Every orphan is this process's too.
  program.place(again);
  program.call(Sys.waitid, [Wait.P_ALL, 0, info, Wait.WEXITED, 0], { negative: again });
  program.call(Op.SUBTRACT, [load(Wait.SI_PID), child], { zero: ended });
  program.goTo(again);
  program.place(ended);
  program.call(Op.SUBTRACT, [load(Wait.SI_CODE), Wait.CLD_EXITED], {
    negative: signalled,
    positive: signalled,
  });
  program.call(Op.SUBTRACT, [load(Wait.SI_STATUS), 0], { store: status });
  program.goTo(tell);
  program.place(signalled);
  program.call(Op.SUBTRACT, [load(Wait.SI_STATUS), -SIGNALLED], { store: status });
  program.place(tell);
  program.call(Sys.kill, [-1, SIGKILL]);
  pumps.finish();
  program.call(Sys.sync, []);
  program.call(Op.OUT, [Port.DEBUG_EXIT, status]);
}
