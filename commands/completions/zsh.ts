/**
 * Completion for zsh, made from the table.
 *
 * @module
 */
import type { Argument, Flag, ValueKind, Verb } from "../verb.ts";
import { VM_NAMES } from "./vm_names.ts";

/**
 * Writes the script.
 *
 * @param verbs Every verb
 * @returns A file `_hvsh` for a folder of `$fpath`
 */
export function zshCompletions(verbs: readonly Verb[]): string {
  const listed = verbs.map(({ name, summary }) => `    ${quote(`${name}:${plain(summary)}`)}\n`);
  return `#compdef hvsh
# Completion of hvsh for zsh: hvsh completions zsh > FOLDER/_hvsh, a folder of $fpath
_hvsh_vms() {
  local -a names=(\${(f)"$(${VM_NAMES})"})
  _describe 'live VM' names
}
_hvsh() {
  local -a verbs=(
${listed.join("")}  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
${verbs.map(verbCase).join("")}  esac
}
if [[ $funcstack[1] == _hvsh ]]; then _hvsh "$@"; else compdef _hvsh hvsh; fi
`;
}

function verbCase(verb: Verb): string {
  const specs = [
    ...Object.entries(verb.flags).map(([name, flag]) => flagSpec(name, flag)),
    "'(-h --help)'{-h,--help}'[This page]'",
    ...verb.arguments.map(argumentSpec),
    ...(verb.rest === undefined ? [] : [quote(`*::${plain(verb.rest.name)}:_normal`)]),
  ];
  return `    ${verb.name})\n      _arguments -s \\\n        ${specs.join(" \\\n        ")} ;;\n`;
}

function flagSpec(name: string, flag: Flag): string {
  const value = flag.value === undefined
    ? ""
    : `:${plain(flag.metavar ?? "VALUE")}:${action(flag.value)}`;
  const text = quote(`[${plain(flag.help)}]${value}`);
  const equals = flag.value === undefined ? "" : "=";
  const attached = flag.value === undefined ? "" : "+";
  const long = `--${name}${equals}`;
  if (flag.short === undefined) {
    return flag.repeat === true ? `'*'${long}${text}` : `${long}${text}`;
  }
  const spellings = `{-${flag.short}${attached},${long}}`;
  const alone = flag.repeat === true ? "'*'" : `'(-${flag.short} --${name})'`;
  return `${alone}${spellings}${text}`;
}

function argumentSpec(argument: Argument): string {
  const place = argument.repeat === true ? "*:" : argument.optional === true ? "::" : ":";
  return quote(`${place}${plain(argument.name)}:${action(argument.value)}`);
}

function action(kind: ValueKind): string {
  if (typeof kind !== "string") return `(${kind.join(" ")})`;
  if (kind === "path") return "_files";
  return kind === "vm" ? "_hvsh_vms" : " ";
}

/** Characters that part a spec of _arguments. */
function plain(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
