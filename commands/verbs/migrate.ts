/**
 * `hvsh migrate`: move a live VM to another owner.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { namedVms, vmNames } from "../live/clients.ts";
import { migrate, type MigrateOptions } from "../live/migrate.ts";
import { sizeText } from "../progress/amount_text.ts";
import { Meter } from "../progress/meter.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

const DOWNTIME_MILLISECONDS = 50;

/** The row of `migrate`. */
export const verb: Verb = {
  name: "migrate",
  summary: "Move a live VM to another host, or another owner, while it runs",
  description:
    "Writes the VM's state to COMMAND's stdin while it runs, and again what has changed meanwhile, until " +
    "the rest takes less than the downtime. COMMAND has `hvsh restore --live` at its end. Whatever " +
    "ends on the way, the two VMs never both run: this one goes on unless the other one may, and is paused if " +
    "nobody can know, which is when what relays ends at the last moment, and the other VM is on another host. " +
    "Filters must pass on at once what they get, as ssh -C does and zstd does not. Prints what `hvsh wait` says of the VM that has left.",
  group: "live",
  flags: {
    downtime: {
      value: "number",
      metavar: "MS",
      help: `how long the VM may stand, in milliseconds; ${DOWNTIME_MILLISECONDS} if left out`,
    },
    rate: { value: "size", metavar: "SIZE", help: "bytes a second at most while the VM runs" },
    "give-up": { help: "leave the VM here if it changes memory too fast for the downtime" },
    verbose: { short: "v", help: "a line for each round on stderr" },
  },
  arguments: [{ ...vmNames, repeat: false, help: "the VM; its handle on stdin if left out" }],
  rest: { name: "COMMAND", value: "text", repeat: true, help: "leads to `hvsh restore --live`" },
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh migrate web -- ssh -C host hvsh restore --live", needs: "kvm" },
    { line: "hvsh migrate web --rate 50M -- hvsh restore --live -n web2", needs: "kvm" },
  ],
  async run(words, context) {
    const options = optionsOf(words, context);
    const shown = words.verbose === true;
    for await (const vm of namedVms(words, context)) {
      const note = (text: string) => context.note(`hvsh migrate: ${vm.name}: ${text}`);
      using meter = new Meter(context, { label: vm.name, phase: "begins", unit: "bytes" });
      const moved = await migrate(vm, options, {
        meter,
        round({ round, bytes, milliseconds }) {
          if (shown) note(`round ${round}: ${sizeText(bytes)} in ${milliseconds.toFixed(0)} ms`);
        },
        note,
      });
      meter[Symbol.dispose]();
      const { bytes, rounds, milliseconds, downtime, exit } = moved;
      note(
        `${sizeText(bytes)} in ${(milliseconds / 1000).toFixed(1)} s and ${rounds + 1} rounds, ` +
          `downtime ${downtime.toFixed(0)} ms`,
      );
      await context.emit(exit);
      return 0; // a command takes one VM
    }
    return 0;
  },
};

function optionsOf(words: Words, { cwd }: VerbContext): MigrateOptions {
  const { command, downtime, rate } = words;
  if (!Array.isArray(command)) {
    throw new UsageError("There is no command that takes the VM", {
      hint: "hvsh migrate web -- ssh host hvsh restore --live",
    });
  }
  if (rate === 0) throw new UsageError("At a rate of 0 it never gets there");
  return {
    command: command as readonly string[],
    cwd,
    downtime: typeof downtime === "number" ? downtime : DOWNTIME_MILLISECONDS,
    rate: typeof rate === "number" ? rate : Infinity,
    giveUp: words["give-up"] === true,
  };
}
