/**
 * Completion for bash, made from the table.
 *
 * @module
 */
import type { Verb } from "../verb.ts";
import {
  ASK,
  type Offer,
  offerOf,
  placesOf,
  spellings,
  valuedFlags,
  vmPlace,
} from "./script_values.ts";

/**
 * Writes the script.
 *
 * @param verbs Every verb
 * @returns What `source <(hvsh completions bash)` reads
 */
export function bashCompletions(verbs: readonly Verb[]): string {
  const names = verbs.map(({ name }) => name).join(" ");
  return `# Completion of hvsh for bash: source <(hvsh completions bash)
# What hvsh says of a live VM is offered as it is: compgen -W would expand it.
_hvsh_ask() {
  local word
  while IFS= read -r word; do
    case $word in "$cur"*) COMPREPLY+=("$word") ;; esac
  done < <(${ASK} "$1" "$vm" "\${before[@]}" 2>/dev/null)
}
_hvsh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]}
  local flags='' words='' files='' ask='' valued='' vm='' at=-1 skip='' i
  local -a given=() before=()
  COMPREPLY=()
  # bash takes --flag=value for three words.
  if [ "$cur" = = ]; then cur=''; elif [ "$prev" = = ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names}' -- "$cur"))
    return
  fi
  case $verb in
${verbs.map(valuedCase).join("")}  esac
  for ((i = 2; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      =) skip=yes; continue ;;
      -*) case $valued in *" \${COMP_WORDS[i]} "*) skip=yes; continue ;; esac ;;
      *) [ -n "$skip" ] || given+=("\${COMP_WORDS[i]}") ;;
    esac
    skip=''
  done
  for i in "\${!given[@]}"; do
    if [ "$i" -eq "$at" ]; then vm=\${given[i]}; else before+=("\${given[i]}"); fi
  done
  case $verb in
${verbs.map(verbCase).join("")}  esac
  case $cur in -*) words=$flags files='' ask='' ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ -n "$ask" ]; then _hvsh_ask "$ask"; fi
  case \${COMPREPLY[0]} in *=) compopt -o nospace ;; esac
  if [ -n "$files" ]; then
    compopt -o filenames
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}
complete -F _hvsh hvsh
`;
}

/** Which flags take a value, and which argument is the VM. */
function valuedCase(verb: Verb): string {
  const valued = valuedFlags(verb);
  const at = vmPlace(verb);
  const set = [
    ...valued.length === 0 ? [] : [`valued=' ${valued.join(" ")} '`],
    ...at < 0 ? [] : [`at=${at}`],
  ];
  return set.length === 0 ? "" : `    ${verb.name}) ${set.join(" ")} ;;\n`;
}

function verbCase(verb: Verb): string {
  const flags = Object.entries(verb.flags);
  const names = [...flags.flatMap(([name, flag]) => spellings(name, flag)), "--help"].join(" ");
  const values = flags.filter(([, { value }]) => value !== undefined).map(([name, flag]) =>
    `        ${spellings(name, flag).join("|")}) ${settings(offerOf(flag.value!))} ;;\n`
  );
  return `    ${verb.name})
      case $prev in
${values.join("")}        *)
          flags='${names}'
${placeCases(verb)}      esac ;;
`;
}

function placeCases(verb: Verb): string {
  const { offers, repeats } = placesOf(verb);
  const cases = offers.map((offer, i) => {
    const label = repeats && i === offers.length - 1 ? "*" : `${i}`;
    return `            ${label}) ${settings(offer)} ;;\n`;
  });
  const rest = verb.rest === undefined ? "" : "          files=yes\n";
  return (offers.length === 0
    ? ""
    : `          case \${#given[@]} in\n${cases.join("")}          esac\n`) +
    rest + "          ;;\n";
}

function settings(offer: Offer): string {
  switch (offer.kind) {
    case "words":
      return `words='${offer.words.join(" ")}'`;
    case "files":
      return "files=yes";
    case "ask":
      return `ask=${offer.values}`;
    case "nothing":
      return ":";
  }
}
