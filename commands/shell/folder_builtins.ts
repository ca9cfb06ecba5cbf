/**
 * `cd` and `pwd`.
 *
 * @module
 */
import { resolve } from "node:path";
import { UsageError } from "../../ffi/errors.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { atMost } from "./builtin_usage.ts";
import { hostFailure } from "./host_failure.ts";

/** The words about the folder that paths start from. */
export const folderBuiltins: Readonly<Record<string, Builtin>> = {
  cd: {
    usage: "[FOLDER | -]",
    summary: "Change the folder that paths start from",
    run: cd,
  },
  pwd: {
    usage: "[-L | -P]",
    summary: "Show that folder",
    run: async (words, { session, context }) => {
      const { physical, operands } = parse(words);
      atMost(0, operands, "pwd [-L | -P]");
      await context.print(`${physical ? session.cwd : session.folder.logical}\n`);
      return 0;
    },
  },
};

/** `-P` is about the folder itself, `-L` about the way there; the last one counts. */
function parse(words: readonly string[]): { physical: boolean; operands: readonly string[] } {
  let physical = false;
  let at = 0;
  for (; /^-[LP]+$/.test(words[at] ?? ""); at++) physical = words[at]!.endsWith("P");
  return { physical, operands: words.slice(words[at] === "--" ? at + 1 : at) };
}

async function cd(words: readonly string[], { session, context }: BuiltinPlace): Promise<number> {
  const { physical, operands } = parse(words);
  atMost(1, operands, "cd FOLDER");
  const { variables, folder } = session;
  const [name] = operands;
  const back = name === "-";
  const target = back ? variables.get("OLDPWD") : name ?? variables.get("HOME");
  if (target === undefined || target === "") {
    throw new UsageError(`Cannot change the folder: ${back ? "OLDPWD" : "HOME"} is not set`, {
      hint: "cd FOLDER",
    });
  }
  const before = folder.logical;
  const path = resolve(before, target);
  try {
    folder.change(physical ? Deno.realPathSync(from(session.cwd, target)) : path);
  } catch (error) {
    throw hostFailure(error, "chdir", path);
  }
  variables.export("OLDPWD", before);
  variables.export("PWD", folder.logical);
  if (back) await context.print(`${folder.logical}\n`);
  return 0;
}

/** A path on which `..` is still to be followed. */
function from(cwd: string, target: string): string {
  return target.startsWith("/") ? target : `${cwd}/${target}`;
}
