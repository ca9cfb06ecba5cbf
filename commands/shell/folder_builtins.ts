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
  cd: { usage: "[FOLDER | -]", summary: "Change the folder that paths start from", run: cd },
  pwd: {
    usage: "",
    summary: "Show that folder",
    run: async (words, { session, context }) => {
      atMost(0, words.filter((word) => word !== "-P" && word !== "-L"), "pwd");
      await context.print(`${session.cwd}\n`);
      return 0;
    },
  },
};

async function cd(words: readonly string[], { session, context }: BuiltinPlace): Promise<number> {
  const names = words[0] === "--" ? words.slice(1) : words;
  atMost(1, names, "cd FOLDER");
  const { variables } = session;
  const back = names[0] === "-";
  const target = back ? variables.get("OLDPWD") : names[0] ?? variables.get("HOME");
  if (target === undefined || target === "") {
    throw new UsageError(`Cannot change the folder: ${back ? "OLDPWD" : "HOME"} is not set`, {
      hint: "cd FOLDER",
    });
  }
  const before = session.cwd;
  const path = resolve(before, target);
  try {
    session.changeFolder(path);
  } catch (error) {
    throw hostFailure(error, "chdir", path);
  }
  variables.export("OLDPWD", before);
  variables.export("PWD", session.cwd);
  if (back) await context.print(`${session.cwd}\n`);
  return 0;
}
