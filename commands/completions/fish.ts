/**
 * Completion for fish, made from the table.
 *
 * @module
 */
import type { ValueKind, Verb } from "../verb.ts";
import { VM_NAMES } from "./vm_names.ts";

/**
 * Writes the script.
 *
 * @param verbs Every verb
 * @returns What `hvsh completions fish | source` reads
 */
export function fishCompletions(verbs: readonly Verb[]): string {
  return "# Completion of hvsh for fish: hvsh completions fish | source\n" +
    "complete -c hvsh -f\n" + verbs.map(verbLines).join("");
}

function verbLines(verb: Verb): string {
  const start = `complete -c hvsh -n __fish_use_subcommand -a ${verb.name} -d ${
    quote(verb.summary)
  }\n`;
  const seen = `complete -c hvsh -n '__fish_seen_subcommand_from ${verb.name}'`;
  const flags = Object.entries(verb.flags).map(([name, { short, value, help }]) => {
    const letter = short === undefined ? "" : ` -s ${short}`;
    const given = value === undefined ? "" : ` ${valueOptions(value)}`;
    return `${seen}${letter} -l ${name}${given} -d ${quote(help)}\n`;
  });
  const given = verb.arguments.map(({ value, help }) => `${offer(value)} -d ${quote(help)}`)
    .filter((options) => !options.startsWith(" "))
    .map((options) => `${seen} ${options}\n`);
  return start + flags.join("") + given.join("");
}

/** A flag's value: a file, one of a list, or what cannot be guessed. */
function valueOptions(kind: ValueKind): string {
  if (kind === "path") return "-r -F";
  return `-x ${offer(kind)}`.trimEnd();
}

function offer(kind: ValueKind): string {
  if (typeof kind !== "string") return `-a ${quote(kind.join(" "))}`;
  if (kind === "path") return "-F";
  return kind === "vm" ? `-a ${quote(`(${VM_NAMES})`)}` : "";
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
