/**
 * From tokens to a tree. The grammar is sh's (POSIX.1-2017 XCU 2.10), which one token of lookahead
 * decides; words in quotes are reserved where a command may begin:
 *
 *     script    := (list (";" | "&" | newline)+)*
 *     list      := pipeline (("&&" | "||") pipeline)*
 *     pipeline  := ["!"] command ("|" command)*
 *     command   := simple | compound redirection* | NAME "(" ")" compound redirection*
 *     simple    := (NAME=WORD | redirection)* (["^"]WORD (WORD | redirection)*)
 *     compound  := "{" script "}" | "(" script ")"
 *                | "if" script "then" script ("elif" script "then" script)* ["else" script] "fi"
 *                | "for" NAME ["in" WORD*] (";" | newline)* "do" script "done"
 *                | ("while" | "until") script "do" script "done"
 *                | "case" WORD "in" (["("] WORD ("|" WORD)* ")" script [";;"])* "esac"
 *     redirection := [NUMBER] ("<" | ">" | ">|" | ">>" | "<>" | "<&" | ">&" | "<<" | "<<-") WORD
 *
 * @module
 */
import { CompoundParser } from "./compound_parser.ts";
import { Cursor, type ReadScript } from "./cursor.ts";
import { Lexer } from "./lexer.ts";
import type { Script } from "./tree.ts";
import { unclosed } from "./word_reader.ts";

/** A statement of a script, and where the next one begins. */
export interface Statement {
  readonly script: Script;
  /** Offset in the text. */
  readonly end: number;
}

/**
 * Parses the text of one or more lines.
 *
 * @param source The text
 * @returns Its tree
 * @throws {ShellSyntaxError} Pointing at the text at fault; `incomplete` if more could mend it
 * @example
 * ```ts
 * import { parse } from "./parser.ts";
 * import assert from "node:assert/strict";
 *
 * const script = parse("create -m 64M | jq -c . > vm.json");
 * assert.equal(script.lists[0]?.first.commands.length, 2);
 * ```
 */
export function parse(source: string): Script {
  const parser = new CompoundParser(new Lexer(source, readScript));
  const script = parser.script([]);
  parser.expectEnd();
  return script;
}

/**
 * Parses the next line, with those that it goes on in.
 *
 * @param source The text
 * @param at Where the line begins
 * @returns Its tree; undefined if there is nothing more
 * @throws {ShellSyntaxError} Pointing at the text at fault; `incomplete` if more could mend it
 */
export function parseStatement(source: string, at: number): Statement | undefined {
  const cursor = new Cursor(source, at);
  const parser = new CompoundParser(new Lexer(cursor, readScript));
  const script = parser.statement();
  return script === undefined ? undefined : { script, end: cursor.at };
}

/** Reads the commands of a `$(`, up to and with its `)`. */
export const readScript: ReadScript = (cursor) => {
  const start = cursor.at - 2;
  const parser = new CompoundParser(new Lexer(cursor, readScript));
  const script = parser.script([")"]);
  if (parser.token.kind === "end") throw unclosed(start, "$(");
  parser.expectOperator(")");
  return script;
};
