/**
 * Help, made from the table: pure functions from rows to text of at most 80 columns.
 *
 * @module
 */
import type { Flag, Verb } from "./verb.ts";

const WIDTH = 80;
/** The groups of verbs, and what their lists are called. */
export const GROUPS: Readonly<Record<Verb["group"], string>> = {
  build: "Build a VM, each a filter from document to document",
  run: "Run it",
  live: "Live VMs",
  around: "Around",
};
/** What a verb reads or writes, in words. */
export const FLOWS: Readonly<Record<Verb["reads"], string>> = {
  nothing: "nothing",
  document: "a VM document",
  stream: "the stream of a saved state",
  handles: "names or handles of live VMs",
  records: "records",
  text: "text",
  console: "the guest's console",
};

/**
 * The page of `hvsh help`.
 *
 * @param verbs Every verb
 * @returns Lines of text
 */
export function overview(verbs: readonly Verb[]): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const groups = Object.entries(GROUPS).flatMap(([group, title]) => {
    const rows = verbs.filter((verb) => verb.group === group);
    if (rows.length === 0) return [];
    const lines = rows.map(({ name, summary }) => columns(name, summary, width));
    return [`${title}:\n${lines.join("")}`];
  });
  return [
    "hvsh: a hypervisor that you can pipe\n\n" +
    "  hvsh create -m 256M | hvsh kernel bzImage | hvsh run\n" +
    "  hvsh                    a shell over the same verbs\n" +
    "  hvsh FILE [WORD…]       a script of the shell's lines; hvsh -c LINE runs one\n",
    ...groups,
    "hvsh help VERB says more about one.\n",
  ].join("\n");
}

/**
 * The page of `hvsh help VERB`.
 *
 * @param verb The verb
 * @returns Lines of text
 */
export function verbPage(verb: Verb): string {
  const { flags, arguments: given, rest } = verb;
  const rows = [
    ...[...given, ...rest === undefined ? [] : [rest]].map((a) => [a.name, a.help]),
    ...Object.entries(flags).map(([name, flag]) => [flagLabel(name, flag), flag.help]),
    ["-h, --help", "This page"],
  ] as const;
  const width = Math.min(28, Math.max(...rows.map(([label]) => label!.length)));
  return [
    `${usage(verb)}\n`,
    `${wrap(verb.description, WIDTH).join("\n")}\n`,
    rows.map(([label, help]) => columns(label!, help!, width)).join(""),
    `Reads ${FLOWS[verb.reads]}, writes ${FLOWS[verb.writes]}.\n`,
    `Examples:\n${verb.examples.map(({ line }) => `${exampleLines(line)}\n`).join("")}`,
  ].join("\n");
}

/**
 * The line that shows how a verb is called.
 *
 * @param verb The verb
 * @returns `hvsh flat [FLAGS] FILE[@ADDR]…`
 */
export function usage(verb: Verb): string {
  const words = verb.arguments.map((argument) => {
    const name = argument.repeat === true ? `${argument.name}…` : argument.name;
    return argument.optional === true ? `[${name}]` : name;
  });
  const rest = verb.rest === undefined ? [] : [`[-- ${verb.rest.name}…]`];
  const flags = Object.keys(verb.flags).length === 0 ? [] : ["[FLAGS]"];
  return `Usage: hvsh ${[verb.name, ...flags, ...words, ...rest].join(" ")}`;
}

function flagLabel(name: string, flag: Flag): string {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  return `${short}--${name}${flag.value === undefined ? "" : ` ${flag.metavar ?? "VALUE"}`}`;
}

/** `  label  text`, the text wrapped in its column; below the label if that is too long. */
function columns(label: string, text: string, width: number): string {
  const lines = wrap(text, WIDTH - width - 4);
  const indent = " ".repeat(width + 4);
  const first = label.length <= width
    ? `  ${label.padEnd(width)}  ${lines.shift() ?? ""}\n`
    : `  ${label}\n`;
  return first + lines.map((line) => `${indent}${line}\n`).join("");
}

/** An example may be longer than the page is wide: it goes on behind a pipe or `&&`, as sh allows. */
function exampleLines(line: string): string {
  if (line.length + 2 <= WIDTH) return `  ${line}`;
  const lines: string[] = [];
  for (const part of line.split(/(?<=; |\| |&& )/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.trimEnd().length <= WIDTH) {
      lines[lines.length - 1] = last + part;
    } else lines.push(`${lines.length === 0 ? "  " : "    "}${part}`);
  }
  return lines.map((text) => text.trimEnd()).join("\n");
}

/**
 * Breaks text into lines.
 *
 * @param text Words with single spaces
 * @param width The longest line, unless one word is longer
 * @returns Lines without line ends
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
