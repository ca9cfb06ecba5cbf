/**
 * Manual pages, made from the table: `hvsh(1)` and one a verb, `hvsh-run(1)`, in man(7)'s macros. Pure
 * functions from rows to roff.
 *
 * @module
 */
import { FLOWS, GROUPS } from "../help_text.ts";
import type { Argument, Flag, Verb } from "../verb.ts";

/** What every verb ends with. */
const STATUSES: readonly (readonly [status: string, meaning: string])[] = [
  ["0", "It went well; the guest powered off, was reset, or halted for good."],
  ["the guest's own", "What it wrote to port 0xf4, or its command's status."],
  ["2", "Wrong usage."],
  ["101", "The guest's kernel panicked."],
  ["102", "Triple fault."],
  ["124", "--timeout."],
  ["125", "hvsh itself failed."],
  ["128+n", "Signal n ended it."],
];

/**
 * The page of hvsh itself.
 *
 * @param verbs Every verb
 * @returns Roff
 */
export function mainPage(verbs: readonly Verb[]): string {
  const groups = Object.entries(GROUPS).flatMap(([group, title]) => {
    const rows = verbs.filter((verb) => verb.group === group);
    if (rows.length === 0) return [];
    return [
      `.SS ${text(title)}\n`,
      ...rows.map(({ name, summary }) => tagged(`\\fBhvsh\\-${text(name)}\\fR(1)`, text(summary))),
    ];
  });
  return [
    header("hvsh"),
    ".SH NAME\nhvsh \\- a hypervisor that you can pipe\n",
    ".SH SYNOPSIS\n.nf\n\\fBhvsh\\fR \\fIVERB\\fR [\\fIFLAGS\\fR] \\fIWORDS\\fR\n\\fBhvsh\\fR\n.fi\n",
    ".SH DESCRIPTION\n",
    "Small verbs build a virtual machine up, each a filter from a JSON document to a JSON document; " +
    "\\fBrun\\fR brings it to life with KVM; other verbs steer it while it lives and take it elsewhere " +
    "as a stream. Without a verb hvsh is a shell over the same verbs.\n",
    ".SH COMMANDS\n",
    ...groups,
    statuses(),
    ".SH ENVIRONMENT\n",
    tagged(
      "\\fBXDG_RUNTIME_DIR\\fR",
      "Live VMs are in its folder \\fIhvsh\\fR; else in \\fI/tmp/hvsh\\-UID\\fR.",
    ),
    tagged(
      "\\fBXDG_STATE_HOME\\fR",
      "The shell's history is in its \\fIhvsh/history\\fR; else below \\fI~/.local/state\\fR.",
    ),
    tagged("\\fBNO_COLOR\\fR", "No colours."),
    ".SH SEE ALSO\n\\fBjq\\fR(1), \\fBtar\\fR(1)\n",
  ].join("");
}

/**
 * The page of a verb.
 *
 * @param verb The verb
 * @returns Roff
 */
export function verbManual(verb: Verb): string {
  const { name, summary, description, flags, examples, rest } = verb;
  const given = [...verb.arguments, ...rest === undefined ? [] : [rest]];
  return [
    header(`hvsh-${name}`),
    `.SH NAME\nhvsh\\-${text(name)} \\- ${text(summary)}\n`,
    `.SH SYNOPSIS\n${synopsis(verb)}\n`,
    `.SH DESCRIPTION\n${text(description)}\n`,
    `.PP\nReads ${text(FLOWS[verb.reads])}, writes ${text(FLOWS[verb.writes])}.\n`,
    given.length === 0 ? "" : ".SH ARGUMENTS\n",
    ...given.map((argument) => tagged(`\\fI${text(argument.name)}\\fR`, text(argument.help))),
    ".SH OPTIONS\n",
    ...Object.entries(flags).map(([name, flag]) => tagged(flagTag(name, flag), text(flag.help))),
    tagged("\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "This page, shorter."),
    ".SH EXAMPLES\n",
    ...examples.map(({ line }) => `.PP\n.nf\n.RS 2\n${text(line)}\n.RE\n.fi\n`),
    statuses(),
    ".SH SEE ALSO\n\\fBhvsh\\fR(1)\n",
  ].join("");
}

function header(name: string): string {
  return `.TH ${text(name.toUpperCase())} 1 "" hvsh "hvsh"\n.nh\n.ad l\n`;
}

function statuses(): string {
  const rows = STATUSES.map(([status, meaning]) =>
    tagged(`\\fB${text(status)}\\fR`, text(meaning))
  );
  return `.SH EXIT STATUS\n${rows.join("")}`;
}

function synopsis(verb: Verb): string {
  const flags = Object.keys(verb.flags).length === 0 ? [] : ["[\\fIFLAGS\\fR]"];
  const rest = verb.rest === undefined
    ? []
    : [`[\\-\\- ${argumentText({ ...verb.rest, optional: false })}]`];
  const words = [...flags, ...verb.arguments.map(argumentText), ...rest];
  return [`\\fBhvsh ${text(verb.name)}\\fR`, ...words].join(" ");
}

function argumentText({ name, optional, repeat }: Argument): string {
  const word = `\\fI${text(name)}\\fR${repeat === true ? "..." : ""}`;
  return optional === true ? `[${word}]` : word;
}

function flagTag(name: string, { short, value, metavar = "VALUE" }: Flag): string {
  const letter = short === undefined ? "" : `\\fB\\-${short}\\fR, `;
  return `${letter}\\fB\\-\\-${text(name)}\\fR${
    value === undefined ? "" : ` \\fI${text(metavar)}\\fR`
  }`;
}

function tagged(tag: string, body: string): string {
  return `.TP\n${tag}\n${body}\n`;
}

/** Text as roff: a backslash, a hyphen of commands, quotes that would become others, and its first dot. */
function text(plain: string): string {
  return plain
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replace(/^[.']/gm, "\\&$&")
    .replace(
      /[\u0080-\u{10ffff}]/gu,
      (c) => `\\[u${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    );
}
