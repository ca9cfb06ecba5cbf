/**
 * What may stand behind a word of the shell's own.
 *
 * @module
 */
import { type Candidate, plain } from "../completions/candidate.ts";
import type { LiveSource } from "../completions/live_values.ts";
import { builtins } from "./builtins.ts";
import { helpTopics } from "../help_topics.ts";
import { fileNames } from "./path_names.ts";
import type { Session } from "./session.ts";

/** Words behind which a command begins. */
export const PREFIXES: ReadonlySet<string> = new Set(["command", "exec", "eval", "type"]);

/**
 * Finds what may stand there.
 *
 * @param name The shell's word
 * @param word The start of the word behind it
 * @param session The shell
 * @param live Knows the live VMs
 */
export async function builtinWords(
  name: string,
  word: string,
  session: Session,
  live: LiveSource,
): Promise<readonly Candidate[]> {
  const { cwd, variables, verbs } = session;
  switch (name) {
    case "help":
      return helpWords(verbs.names);
    case "use":
      return await live.values("vm", { before: [] }, word);
    case "export":
    case "readonly":
    case "local":
    case "read":
      return plain(variables.names());
    case "unset":
      return plain([...variables.names(), ...session.functions.keys()]);
    case "cd":
      return await fileNames(word, cwd, { foldersOnly: true });
    case "fg":
    case "bg":
    case "jobs":
    case "wait":
    case "kill":
      return session.jobs.all.map(({ id, text }) => ({ word: `%${id}`, help: text }));
    case "set":
    case "exit":
    case "return":
      return [];
    default:
      return await fileNames(word, cwd);
  }
}

function helpWords(verbs: readonly string[]): Candidate[] {
  const topics = Object.entries(helpTopics).map(([word, { summary }]) => ({ word, help: summary }));
  const own = Object.entries(builtins).filter(([, { plain }]) => plain !== true);
  return [
    ...plain(verbs),
    ...own.map(([word, { summary }]) => ({ word, help: summary })),
    ...topics,
  ];
}
