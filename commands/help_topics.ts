/**
 * What `help TOPIC` says of the shell's language, as data.
 *
 * @module
 */

/** A page of help about the language. */
export interface HelpTopic {
  /** One line, for the list of topics. */
  readonly summary: string;
  /** What is written, and what it means. */
  readonly rows: readonly (readonly [what: string, meaning: string])[];
}

/** The topics by their words. */
export const helpTopics: Readonly<Record<string, HelpTopic>> = {
  pipes: {
    summary: "how commands are joined",
    rows: [
      ["a | b", "b reads what a writes: objects between verbs, bytes to and from programs"],
      ["a; b   a && b   a || b", "then; then if a succeeded; then if a failed"],
      ["! a", "succeeds where a fails"],
      ["a &", "goes on without waiting for a; help jobs"],
      ["$(a)", "what a prints, as words"],
      ["^cmd", "the program cmd even if a verb has its name; unknown words need no ^"],
      ["hvsh verb", "the verb even if a function or a word of the shell has its name"],
      ["# …", "a comment"],
    ],
  },
  quoting: {
    summary: "how words are written",
    rows: [
      ["'…'", "all characters as they are"],
      ['"…"', "all but $ and \\"],
      ["\\c", "the character c as it is; at the end of a line, that it goes on"],
      ["*  ?  [a-z]", "files with such names; quote them for VMs: pause 'web*'"],
      ["~  ~user", "a home folder"],
    ],
  },
  files: {
    summary: "where commands read and write",
    rows: [
      ["a > f   a >> f   a < f", "write to a file, append to it, read from it"],
      ["a 2> f   a > f 2>&1", "its messages to a file; both to one"],
      ["a >&2   a 2>&-", "to where messages go; nowhere"],
      ["a << END", "reads the lines that follow, up to END; 'END' keeps $ in them"],
    ],
  },
  variables: {
    summary: "names for text",
    rows: [
      ["v=word   $v   ${v}x", "set a variable, use it"],
      ["${v:-word}   ${v:=word}", "word if v is empty; and v becomes it"],
      ["${v:+word}   ${v:?word}", "word unless v is empty; an error that says word if it is"],
      ["${#v}   ${v#p}   ${v%p}", "its length; without what p matches at its start, its end"],
      ["$((1 + n * 2))", "numbers, with C's operators"],
      ['$1 … $#  "$@"  $0', "a script's or function's words, their number, all, its name"],
      ["$?   $!   $$", "the last exit status, the last job, this process"],
    ],
  },
  control: {
    summary: "conditions, loops, functions",
    rows: [
      ["if a; then b; elif c; then d; else e; fi", "b if a succeeds"],
      ["for v in w1 w2; do a; done", "a for each word"],
      ["while a; do b; done", "b as long as a succeeds; until: as long as it fails"],
      ["case w in p1|p2) a;; *) b;; esac", "a if w matches p1 or p2, else b"],
      ["{ a; b; }   (a; b)", "as one command; in a subshell"],
      ["name() { a; }", "a command of your own, its words in $1…"],
      ["source FILE", "runs a file's lines; hvsh FILE runs them as a script"],
      ["break N   continue N", "leaves a loop, or its round; break NAME ADDR is the verb"],
      ["set -e", "the first failure ends the shell, as it does wherever nobody types"],
    ],
  },
  jobs: {
    summary: "what runs in the background",
    rows: [
      ["run -n web … &", "a VM in this shell's own process; run -d gives it one of its own"],
      ["jobs   fg %1   wait %1", "list; wait in the foreground; wait and take the status"],
      ["kill %1   kill 812", "end a job, a process; kill NAME ends a VM"],
      ["Ctrl-C", "ends the line that runs, and no job"],
      ["exit", "says once what would end with the shell"],
    ],
  },
};

/**
 * A page about a topic.
 *
 * @param topic The topic
 * @returns Lines of text
 */
export function topicPage({ rows }: HelpTopic): string {
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, meaning]) => `  ${what.padEnd(width)}  ${meaning}\n`).join("");
}
