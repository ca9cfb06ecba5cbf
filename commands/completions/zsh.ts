/**
 * Completion for zsh, made from the table.
 *
 * @module
 */
import type { Argument, Flag, Verb } from "../verb.ts";
import { ASK, type Offer, offerOf, placesOf, vmPlace } from "./script_values.ts";

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
# Kind, and which argument is the VM: the words that hvsh says.
_hvsh_values() {
  local vm=''
  local -a before=(\${line[1,-2]}) values
  # For the value of a flag, zsh does not say which words are arguments.
  (( $#before )) || before=(\${words[2,CURRENT-1]:#-*})
  if (( $2 && $2 <= $#before )); then
    vm=$before[$2]
    before[$2]=()
  fi
  values=(\${(f)"$(${ASK} $1 "$vm" $before 2>/dev/null)"})
  if [[ $1 == *-setting ]]; then compadd -S = -- \${values%=}; else compadd -- $values; fi
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
    ...Object.entries(verb.flags).map(([name, flag]) => flagSpec(name, flag, vmPlace(verb))),
    "'(-h --help)'{-h,--help}'[This page]'",
    ...argumentSpecs(verb),
    ...(verb.rest === undefined ? [] : [quote(`*::${plain(verb.rest.name)}:_normal`)]),
  ];
  return `    ${verb.name})\n      _arguments -s \\\n        ${specs.join(" \\\n        ")} ;;\n`;
}

function flagSpec(name: string, flag: Flag, vm: number): string {
  const value = flag.value === undefined
    ? ""
    : `:${plain(flag.metavar ?? "VALUE")}:${action(offerOf(flag.value), vm)}`;
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

function argumentSpecs(verb: Verb): string[] {
  const { offers, repeats } = placesOf(verb);
  return offers.map((offer, i) => {
    const argument: Argument = verb.arguments[i] ?? verb.arguments.at(-1)!;
    const all = repeats && i === offers.length - 1;
    const place = all ? "*:" : argument.optional === true || argument.repeat === true ? "::" : ":";
    return quote(`${place}${plain(argument.name)}:${action(offer, vmPlace(verb))}`);
  });
}

/** zsh counts arguments from 1. */
function action(offer: Offer, vm: number): string {
  switch (offer.kind) {
    case "words":
      return `(${offer.words.join(" ")})`;
    case "files":
      return "_files";
    case "ask":
      return ` _hvsh_values ${offer.values} ${vm + 1}`; // a blank: _arguments adds no words
    case "nothing":
      return " ";
  }
}

/** Characters that part a spec of _arguments. */
function plain(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
