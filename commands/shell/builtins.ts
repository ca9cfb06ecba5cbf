/**
 * The words that only a shell can have, since they change the shell itself, and a few that scripts
 * use too often for a process each.
 *
 * @module
 */
import type { Builtin } from "./builtin.ts";
import { flowBuiltins } from "./flow_builtins.ts";
import { folderBuiltins } from "./folder_builtins.ts";
import { helpBuiltin } from "./help.ts";
import { jobBuiltins } from "./job_builtins.ts";
import { personBuiltins } from "./person_builtins.ts";
import { readBuiltin } from "./read_builtin.ts";
import { test } from "./test_builtin.ts";
import { textBuiltins } from "./text_builtins.ts";
import { umaskBuiltin } from "./umask.ts";
import { variableBuiltins } from "./variable_builtins.ts";

/** The table of these words. */
export const builtins: Readonly<Record<string, Builtin>> = {
  ...personBuiltins,
  ...folderBuiltins,
  umask: umaskBuiltin,
  ...variableBuiltins,
  read: readBuiltin,
  ...flowBuiltins,
  ...jobBuiltins,
  ...textBuiltins,
  test: {
    usage: "EXPRESSION",
    summary: "Compare, or look at a file",
    plain: true,
    run: (words, { session, streams }) => Number(!test(words, session.cwd, streams)),
  },
  "[": {
    usage: "EXPRESSION ]",
    summary: "The same",
    plain: true,
    run: (words, { session, streams }) => Number(!test(words, session.cwd, streams, true)),
  },
  help: helpBuiltin(() => builtins),
};
