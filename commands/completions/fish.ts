/**
 * Completion for fish, made from the table.
 *
 * @module
 */
import type { Verb } from "../verb.ts";
import { ASK, type Offer, offerOf, placesOf, valuedFlags, vmPlace } from "./script_values.ts";

/**
 * Writes the script.
 *
 * @param verbs Every verb
 * @returns What `hvsh completions fish | source` reads
 */
export function fishCompletions(verbs: readonly Verb[]): string {
  return `# Completion of hvsh for fish: hvsh completions fish | source
# The arguments of the verb that stand before the cursor, without flags and their values.
function __hvsh_given
    set -l words (commandline -opc)
    set -l valued
    switch "$words[2]"
${verbs.map(valuedCase).join("")}    end
    set -l skip no
    for word in $words[3..-1]
        if test $skip = yes
            set skip no
        else if contains -- $word $valued
            set skip yes
        else if not string match -q -- '-*' $word
            echo -- $word
        end
    end
end
# Whether the word is the verb's argument at this place, or one from this place on.
function __hvsh_place
    set -l words (commandline -opc)
    test "$words[2]" = $argv[1]; or return 1
    set -l count (count (__hvsh_given))
    test $count -eq $argv[2]; or test "$argv[3]" = on -a $count -gt $argv[2]
end
# Kind, and which argument is the VM: the words that hvsh says.
function __hvsh_values
    set -l given (__hvsh_given)
    set -l vm
    if test $argv[2] -gt 0 -a (count $given) -ge $argv[2]
        set vm $given[$argv[2]]
        set -e given[$argv[2]]
    end
    ${ASK} $argv[1] "$vm" $given 2>/dev/null
end
complete -c hvsh -f
${verbs.map(verbLines).join("")}`;
}

function valuedCase(verb: Verb): string {
  const valued = valuedFlags(verb);
  return valued.length === 0
    ? ""
    : `        case ${verb.name}\n            set valued ${valued.join(" ")}\n`;
}

function verbLines(verb: Verb): string {
  const { name, summary } = verb;
  const vm = vmPlace(verb) + 1;
  const start = `complete -c hvsh -n __fish_use_subcommand -a ${name} -d ${quote(summary)}\n`;
  const seen = `complete -c hvsh -n '__fish_seen_subcommand_from ${name}'`;
  const flags = Object.entries(verb.flags).map(([name, { short, value, help }]) => {
    const letter = short === undefined ? "" : ` -s ${short}`;
    const given = value === undefined ? "" : ` ${valueOptions(offerOf(value), vm)}`;
    return `${seen}${letter} -l ${name}${given} -d ${quote(help)}\n`;
  });
  const { offers, repeats } = placesOf(verb);
  const given = offers.map((offer, i) => {
    const on = repeats && i === offers.length - 1 ? " on" : "";
    const options = offered(offer, vm);
    const help = (verb.arguments[i] ?? verb.arguments.at(-1)!).help;
    const place = `complete -c hvsh -n '__hvsh_place ${name} ${i}${on}'`;
    return options === "" ? "" : `${place} ${options} -d ${quote(help)}\n`;
  });
  return start + flags.join("") + given.join("");
}

/** A flag's value: a file, one of a list, or what cannot be guessed. */
function valueOptions(offer: Offer, vm: number): string {
  return offer.kind === "files" ? "-r -F" : `-x ${offered(offer, vm)}`.trimEnd();
}

/** fish counts from 1. */
function offered(offer: Offer, vm: number): string {
  switch (offer.kind) {
    case "words":
      return `-a ${quote(offer.words.join(" "))}`;
    case "files":
      return "-F";
    case "ask":
      return `-a ${quote(`(__hvsh_values ${offer.values} ${vm})`)}`;
    case "nothing":
      return "";
  }
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
