// deno-lint-ignore-file no-control-regex -- groff prints bold with backspaces
import { deepEqual, equal, match } from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { shLine, TestFolder } from "../../tests/sh_line.ts";
import { loadVerb, loadVerbs } from "../table.ts";
import { mainPage, verbManual } from "./man.ts";

const ignore = (await shLine("command -v groff")).status !== 0;
const verbs = await loadVerbs();

/** A page as a person reads it. */
async function shown(page: string): Promise<string> {
  const { stdout, stderr } = await shLine("groff -man -Tutf8 -ww -rLL=100n", { stdin: page });
  equal(stderr, "");
  return stripVTControlCharacters(stdout).replace(/.\x08/g, "");
}

Deno.test("each verb has a manual page that groff sets without a warning", { ignore }, async () => {
  const text = await shown([mainPage(verbs), ...verbs.map(verbManual)].join(""));
  equal(text.match(/^ *SYNOPSIS$/gm)?.length, 1 + verbs.length);
});

Deno.test("a page says what help says, and its examples can be copied", { ignore }, async () => {
  const run = await shown(verbManual((await loadVerb("run"))!));
  match(run, /^ +hvsh run \[FLAGS\] \[IMAGE\]/m);
  match(run, /^ +-m, --memory SIZE\n +RAM \(256M\)/m);
  const list = (await loadVerb("list"))!;
  const page = await shown(verbManual(list));
  for (const { line } of list.examples) equal(page.includes(line), true, line);
  match(await shown(mainPage(verbs)), /^ +hvsh-run\(1\)\n +Run a VM/m);
});

Deno.test("all pages are written into a folder", async () => {
  await using folder = new TestFolder();
  const { status, stderr } = await shLine("hvsh completions man -o man1", { cwd: folder.path });
  deepEqual([status, stderr], [0, ""]);
  const names = [...Deno.readDirSync(`${folder.path}/man1`)].map(({ name }) => name).sort();
  deepEqual(names, ["hvsh.1", ...verbs.map(({ name }) => `hvsh-${name}.1`)].sort());
  const wrong = await shLine("hvsh completions man rum");
  equal(wrong.status, 2);
  match(wrong.stderr, /did you mean run\?/);
});
