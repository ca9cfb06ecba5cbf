/**
 * Completion for bash, made from the table.
 *
 * @module
 */
import type { Flag, ValueKind, Verb } from "../verb.ts";
import { VM_NAMES } from "./vm_names.ts";

/**
 * Writes the script.
 *
 * @param verbs Every verb
 * @returns What `source <(hvsh completions bash)` reads
 */
export function bashCompletions(verbs: readonly Verb[]): string {
  const names = verbs.map(({ name }) => name).join(" ");
  return `# Completion of hvsh for bash: source <(hvsh completions bash)
_hvsh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]}
  local flags='' words='' files=''
  # bash takes --flag=value for three words.
  if [ "$cur" = = ]; then cur=''; elif [ "$prev" = = ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names}' -- "$cur"))
    return
  fi
  case $verb in
${verbs.map(verbCase).join("")}  esac
  case $cur in -*) words=$flags files='' ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ -n "$files" ]; then
    compopt -o filenames
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}
complete -F _hvsh hvsh
`;
}

function verbCase(verb: Verb): string {
  const flags = Object.entries(verb.flags);
  const names = [...flags.flatMap(([name, flag]) => spellings(name, flag)), "--help"].join(" ");
  const valued = flags.filter(([, { value }]) => value !== undefined);
  const values = valued.map(([name, flag]) =>
    `        ${spellings(name, flag).join("|")}) ${offer([flag.value!])} ;;\n`
  );
  const given = offer(verb.arguments.map(({ value }) => value));
  const otherwise = `        *) flags='${names}' ${given} ;;\n`;
  return `    ${verb.name})\n      case $prev in\n${values.join("")}${otherwise}      esac ;;\n`;
}

function spellings(name: string, { short }: Flag): string[] {
  return [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
}

function offer(kinds: readonly ValueKind[]): string {
  const words = kinds.flatMap((kind) => typeof kind === "string" ? [] : kind);
  const vms = kinds.includes("vm") ? ` $(${VM_NAMES})` : "";
  const files = kinds.includes("path") ? " files=yes" : "";
  return `words="${words.join(" ")}${vms}"${files}`;
}
