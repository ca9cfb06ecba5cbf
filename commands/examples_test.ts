import "../tests/c_library.ts";
import { equal } from "node:assert/strict";
import { shLine, TestFolder } from "../tests/sh_line.ts";
import { allExamples } from "../tests/examples.ts";
import { InnerShell } from "../tests/inner_shell.ts";
import { tableVerbs } from "./shell/table_verbs.ts";

for (const { verb, line, prints, needs } of await allExamples()) {
  if (needs !== undefined) continue;
  Deno.test(`the example of ${verb} works: ${line}`, async () => {
    await using folder = new TestFolder();
    const { status, stdout, stderr } = await shLine(line, { cwd: folder.path });
    equal(stderr, "");
    if (prints !== undefined) equal(stdout, prints);
    // One that differs from host to host may say by its status what it found.
    equal(status === 0 || (prints === undefined && status === 125), true, `exit status ${status}`);
  });
}

/** The line as one types it in the shell, where verbs need no `hvsh`. */
function short(line: string): string {
  return line.replaceAll(/(?<=^|[|;&] )hvsh (?=[a-z])/g, "");
}

for (const { verb, line, prints, needs } of await allExamples()) {
  if (needs !== undefined) continue;
  Deno.test(`the example of ${verb} works in the shell: ${short(line)}`, async () => {
    for (const typed of [line, short(line)]) {
      await using folder = new TestFolder();
      const shell = new InnerShell(folder.path, tableVerbs);
      const stdout = await shell.run(typed);
      equal(shell.notes, "");
      if (prints !== undefined) equal(stdout, prints);
      const { status } = shell;
      equal(status === 0 || (prints === undefined && status === 125), true, `status ${status}`);
    }
  });
}
