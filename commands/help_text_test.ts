import { deepEqual, equal, match } from "node:assert/strict";
import { overview, usage, verbPage, wrap } from "./help_text.ts";
import { loadVerbs, verbNames } from "./table.ts";
import type { Verb } from "./verb.ts";

const verbs = await loadVerbs();
const boot: Verb = {
  name: "boot",
  summary: "Boot",
  description: "Boots.",
  group: "run",
  flags: { mode: { short: "m", value: "text", metavar: "MODE", help: "How" } },
  arguments: [
    { name: "IMAGE", value: "path", help: "What" },
    { name: "FILE", value: "path", optional: true, repeat: true, help: "More" },
  ],
  rest: { name: "COMMAND", value: "text", help: "In the guest" },
  reads: "document",
  writes: "console",
  examples: [{ line: `hvsh boot k ${"long ".repeat(15)}| jq .` }],
};

Deno.test("no page is wider than 80 columns", () => {
  for (const page of [overview(verbs), ...verbs.map(verbPage)]) {
    for (const line of page.split("\n")) equal(line.length <= 80, true, line);
  }
});

Deno.test("the overview names every verb with its summary", () => {
  const page = overview(verbs);
  for (const { name, summary } of verbs) match(page, new RegExp(`^  ${name} +${summary[0]}`, "m"));
});

Deno.test("a row's name is its key in the table", () => {
  deepEqual(verbs.map(({ name }) => name), verbNames);
});

/** Builders that are said to a live VM too, by its name. */
const BOTH = ["console", "balloon"];

Deno.test("every verb has an example, and does its work in one way, or in both that it has", () => {
  for (const { name, examples, build, run } of verbs) {
    equal(examples.length > 0, true, name);
    equal(build !== undefined && run !== undefined, BOTH.includes(name), name);
    equal(build !== undefined || run !== undefined, true, name);
  }
});

Deno.test("flags that share a letter or call themselves help would shadow each other", () => {
  for (const { name, flags } of verbs) {
    const letters = Object.values(flags).flatMap(({ short }) => short ?? []);
    equal(new Set(letters).size, letters.length, name);
    equal(letters.includes("h") || "help" in flags, false, name);
  }
});

Deno.test("the usage line shows what may be left out, repeats and stands behind --", () => {
  equal(usage(boot), "Usage: hvsh boot [FLAGS] IMAGE [FILE…] [-- COMMAND…]");
});

Deno.test("a verb's page has its words, its flags and its examples, broken where sh allows", () => {
  equal(
    verbPage(boot),
    `Usage: hvsh boot [FLAGS] IMAGE [FILE…] [-- COMMAND…]

Boots.

  IMAGE            What
  FILE             More
  COMMAND          In the guest
  -m, --mode MODE  How
  -h, --help       This page

Reads a VM document, writes the guest's console.

Examples:
  hvsh boot k ${"long ".repeat(12)}long
    long long | jq .
`.replace("long\n    long long | jq .", "long long long |\n    jq ."),
  );
});

Deno.test("text is broken at spaces only", () => {
  deepEqual(wrap("a bb ccc", 4), ["a bb", "ccc"]);
  deepEqual(wrap("toolongword x", 4), ["toolongword", "x"]);
});

Deno.test("a saved state is a stream and no VM document, where it is read and where it is written", () => {
  const page = (word: string) => verbPage(verbs.find(({ name }) => name === word)!);
  match(page("restore"), /^Reads the stream of a saved state, writes the guest's console\.$/m);
  match(page("snapshot"), /^Reads names .*, writes the stream of a saved state\.$/m);
});
