import { deepEqual, equal, match } from "node:assert/strict";
import { shLine, TestFolder } from "../../tests/sh_line.ts";
import { loadVerbs } from "../table.ts";
import { bashCompletions } from "./bash.ts";
import { fishCompletions } from "./fish.ts";
import { zshCompletions } from "./zsh.ts";

const verbs = await loadVerbs();

/** What bash offers for the last of some words. */
async function offered(words: readonly string[], cwd: string): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `${bashCompletions(verbs)}
compopt() { :; }
hvsh() { echo web; }
COMP_WORDS=(${quoted}) COMP_CWORD=${words.length - 1}
_hvsh
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await shLine("bash -s", { stdin: script, cwd });
  equal(stderr, "");
  return stdout.split("\n").filter((line) => line !== "");
}

async function lacks(program: string): Promise<boolean> {
  return (await shLine(`command -v ${program}`)).status !== 0;
}

const ignore = await lacks("bash");

Deno.test("bash completes verbs, flags, the values of flags, and files", { ignore }, async () => {
  await using folder = new TestFolder();
  folder.write("kernel.img");
  const cases: [string[], string[]][] = [
    [["hvsh", "cr"], ["create"]],
    [["hvsh", "kernel", "--"], ["--unpack", "--entry", "--help"]],
    [["hvsh", "create", "--m"], ["--memory"]],
    [["hvsh", "kernel", "--unpack", "y"], ["yes"]],
    [["hvsh", "kernel", "--unpack", "=", "n"], ["no"]],
    [["hvsh", "kernel", "--unpack", "="], ["yes", "no"]],
    [["hvsh", "kernel", "kern"], ["kernel.img"]],
    [["hvsh", "map", "sh"], ["shared"]],
    [["hvsh", "create", "--memory", ""], []],
    [["hvsh", "help", "initr"], ["initrd"]],
    [["hvsh", "run", "--kernel", "k"], ["kernel.img"]],
    [["hvsh", "nothing", "x"], []],
  ];
  for (const [words, expected] of cases) {
    deepEqual(await offered(words, folder.path), expected, words.join(" "));
  }
});

Deno.test("live VMs complete by their names", { ignore }, async () => {
  const verb = verbs.find((verb) => verb.arguments.some(({ value }) => value === "vm"));
  if (verb !== undefined) deepEqual(await offered(["hvsh", verb.name, "w"], "/"), ["web"]);
});

for (
  const [shell, script] of [
    ["bash -n", bashCompletions],
    ["zsh -n", zshCompletions],
    ["fish --no-execute", fishCompletions],
  ] as const
) {
  const name = shell.split(" ")[0]!;
  Deno.test(
    `${name} takes the script that is made for it`,
    { ignore: await lacks(name) },
    async () => {
      const result = await shLine(`${shell} /dev/stdin`, { stdin: script(verbs) });
      deepEqual(result, { status: 0, stdout: "", stderr: "" });
    },
  );
}

Deno.test("zsh and fish scripts have each flag with its help", () => {
  const zsh = zshCompletions(verbs);
  match(zsh, /'\(-m --memory\)'\{-m\+,--memory=\}'\[RAM \(256M\)\]:SIZE: '/);
  match(zsh, /--unpack='\[.*\]:yes\|no:\(yes no\)'/);
  match(zsh, /':PATH:_files'/);
  const fish = fishCompletions(verbs);
  match(fish, /'__fish_seen_subcommand_from create' -s m -l memory -x -d 'RAM \(256M\)'/);
  match(fish, /'__fish_seen_subcommand_from kernel' -F/);
});
