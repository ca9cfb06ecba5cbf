/**
 * The first process of a guest that runs one command in the host's files: loads drivers, mounts what is
 * shared, gives the command its streams, waits for it, and writes its status to the debug exit port.
 *
 * @module
 */
import type { Bytes } from "../byte_sequence.ts";
import { executeRows, statusRows } from "./command_rows.ts";
import type { GuestCommand, InitStep } from "./guest_command.ts";
import { Label, Op, Result } from "./init_program.ts";
import { InitRows } from "./init_rows.ts";
import { mountRows } from "./mount_rows.ts";
import { PumpRows } from "./pump_rows.ts";
import { Open, Sys } from "./syscalls.ts";

/** A first process. */
export interface CommandInit {
  /** An ELF executable. */
  readonly program: Bytes;
  /** What can go wrong in it, by the number that it tells. */
  readonly steps: readonly InitStep[];
}

/**
 * Makes the first process for a command.
 *
 * @param command The command
 * @returns Its program, and what can go wrong in it
 * @throws {RangeError} If a word has a NUL in it
 */
export function commandInit(command: GuestCommand): CommandInit {
  const rows = new InitRows();
  const { program } = rows;
  rows.openPorts();
  for (const path of command.modules) {
    const file = new Result();
    program.call(Sys.open, [program.text(path), Open.RDONLY | Open.CLOEXEC], { store: file });
    // One that is there already is as good; one that is missing shows by what it is for.
    program.call(Sys.finit_module, [file, program.text(""), 0]);
  }
  mountRows(rows, command);
  const pumps = new PumpRows(rows, command);
  pumps.open();
  const [child, started, pid] = [new Result(), new Label(), program.zeros(8)];
  rows.must(Sys.fork, [], { what: "start the command", options: [] });
  program.call(Op.LOAD, [rows.last], { store: pid, positive: started });
  pumps.adopt();
  executeRows(rows, command);
  program.place(started);
  pumps.start();
  program.call(Op.LOAD, [pid], { store: child });
  statusRows(rows, child, pumps);
  rows.sleep();
  pumps.writeThreads();
  rows.finish();
  return { program: program.build(), steps: rows.steps };
}
