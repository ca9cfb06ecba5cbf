/**
 * The tree of a script (POSIX.1-2017 XCU 2.10.2), which the parser makes and the evaluator runs.
 *
 * @module
 */
import type { Span } from "./syntax_error.ts";

/** A piece of a word. */
export type Part = TextPart | VariablePart | CommandPart | ArithmeticPart;

/** Characters that stand for themselves. */
export interface TextPart {
  readonly kind: "text";
  readonly text: string;
  readonly quoted: boolean;
}

/** `$NAME`, `${NAME}` and what may be made of its value (XCU 2.6.2). */
export interface VariablePart {
  readonly kind: "variable";
  /** A name, the number of an argument, or one of `? ! # @ * $ - 0`. */
  readonly name: string;
  readonly quoted: boolean;
  /** `${#NAME}`: how long it is. */
  readonly length?: boolean;
  /** `${NAME:-WORD}` and its kin. */
  readonly operation?: Operation;
  readonly span: Span;
}

/** What `${NAME…}` makes of the value. */
export interface Operation {
  readonly operator: "-" | "=" | "?" | "+" | "#" | "##" | "%" | "%%";
  /** With `:` an empty value is as good as none. */
  readonly colon: boolean;
  readonly word: readonly Part[];
}

/** `$(…)`: what commands write. */
export interface CommandPart {
  readonly kind: "command";
  readonly script: Script;
  readonly quoted: boolean;
}

/** `$((…))`: a number. */
export interface ArithmeticPart {
  readonly kind: "arithmetic";
  readonly parts: readonly Part[];
  readonly quoted: boolean;
  readonly span: Span;
}

/** A word before its expansions. */
export interface Word {
  readonly parts: readonly Part[];
  readonly span: Span;
}

/** `NAME=WORD` before a command or alone. */
export interface Assignment {
  readonly name: string;
  readonly value: Word;
}

/** The operators that redirect (XCU 2.7). */
export type RedirectionOperator = "<" | ">" | ">|" | ">>" | "<>" | "<&" | ">&" | "<<";

/** `2> FILE`, `< FILE`, `2>&1`, or `<< END` with the lines that follow. */
export interface Redirection {
  readonly operator: RedirectionOperator;
  /** The descriptor it changes: 0 or 1 if none is written. */
  readonly descriptor: number;
  /** The file, or the other descriptor; what ends a here-document. */
  readonly target: Word;
  /** The lines of a here-document. */
  readonly document?: HereDocument;
}

/** The lines of a here-document, which stand behind the line that has `<<`. */
export interface HereDocument {
  parts: readonly Part[];
}

/** A verb, a built-in, a function or a host program with its words. */
export interface SimpleCommand {
  readonly kind: "simple";
  /** Written with `^`: a program of the host even if a verb has that name. */
  readonly host: boolean;
  readonly assignments: readonly Assignment[];
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
  readonly span: Span;
}

/** `{ …; }`, or `( … )` in a shell of its own. */
export interface GroupCommand {
  readonly kind: "group" | "subshell";
  readonly body: Script;
}

/** `if`, with its `elif`s, and `else`. */
export interface IfCommand {
  readonly kind: "if";
  readonly branches: readonly { readonly condition: Script; readonly body: Script }[];
  readonly otherwise?: Script;
}

/** `for NAME in WORD…`; without `in`, over the arguments. */
export interface ForCommand {
  readonly kind: "for";
  readonly name: string;
  readonly words?: readonly Word[];
  readonly body: Script;
}

/** `while` and `until`. */
export interface LoopCommand {
  readonly kind: "while" | "until";
  readonly condition: Script;
  readonly body: Script;
}

/** `case WORD in PATTERN) … esac`. */
export interface CaseCommand {
  readonly kind: "case";
  readonly word: Word;
  readonly items: readonly { readonly patterns: readonly Word[]; readonly body: Script }[];
}

/** `NAME() COMMAND`. */
export interface FunctionDefinition {
  readonly kind: "function";
  readonly name: string;
  readonly body: CompoundCommand;
}

/** A command made of others, with the redirections behind it. */
export type CompoundCommand =
  & (GroupCommand | IfCommand | ForCommand | LoopCommand | CaseCommand | FunctionDefinition)
  & { readonly redirections: readonly Redirection[]; readonly span: Span };

/** What may stand between two `|`. */
export type Command = SimpleCommand | CompoundCommand;

/** Commands that run at once, each reading what the one before writes. */
export interface Pipeline {
  readonly kind: "pipeline";
  /** Written with `!`: it succeeds where it fails. */
  readonly negated: boolean;
  readonly commands: readonly Command[];
  readonly span: Span;
}

/** Pipelines joined by `&&` and `||`, which bind alike and from the left. */
export interface List {
  readonly kind: "list";
  readonly first: Pipeline;
  readonly rest: readonly { readonly operator: "&&" | "||"; readonly pipeline: Pipeline }[];
  /** Written with `&`: nobody waits for it. */
  readonly background: boolean;
  readonly span: Span;
}

/** Lists that run one after the other. */
export interface Script {
  readonly kind: "script";
  readonly lists: readonly List[];
}
