import { deepEqual, equal, match } from "node:assert/strict";
import { shLine, TestFolder } from "../../tests/sh_line.ts";
import { ShellOnTerminal } from "../../tests/pty.ts";
import { loadVerbs } from "../table.ts";
import { bashCompletions } from "./bash.ts";
import { fishCompletions } from "./fish.ts";
import { zshCompletions } from "./zsh.ts";

const verbs = await loadVerbs();

/** In place of hvsh: says the words that it was asked with, and one that a shell must not run. */
const HVSH = 'hvsh() { shift 2; echo "$(IFS=/; echo "$*")"; echo \'$(echo run)\'; }';

/** What bash offers for the last of some words. */
async function offered(words: readonly string[], cwd: string): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `${bashCompletions(verbs)}
compopt() { :; }
${HVSH}
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

Deno.test(
  "bash completes verbs, flags, the values of flags, files, and what hvsh says of live VMs",
  { ignore: await lacks("bash") },
  async () => {
    await using folder = new TestFolder();
    folder.write("kernel.img");
    const cases: [string, string[]][] = [
      ["cr", ["create"]],
      ["kernel --", ["--unpack", "--entry", "--help"]],
      ["create --m", ["--memory"]],
      ["kernel --unpack y", ["yes"]],
      ["kernel --unpack = n", ["no"]],
      ["kernel --unpack = ", ["yes", "no"]],
      ["kernel --unpack = no kern", ["kernel.img"]],
      ["map sh", ["shared"]],
      ["map shared k", ["kernel.img"]],
      ["create --memory ", []],
      ["help initr", ["initrd"]],
      ["run --kernel k", ["kernel.img"]],
      ["nothing x", []],
      ["pause ", ["running-vm/", "$(echo run)"]],
      ["break web s", ["symbol/web"]],
      ["break --length 4 web s", ["symbol/web"]],
      ["ctl web disk0 ", ["device-word/web/disk0", "$(echo run)"]],
      ["mem read web s", ["symbol/web/read"]],
      ["regs web --get r", ["register/web"]],
    ];
    for (const [line, expected] of cases) {
      deepEqual(await offered(["hvsh", ...line.split(" ")], folder.path), expected, line);
    }
  },
);

Deno.test("fish completes the same", { ignore: await lacks("fish") }, async () => {
  await using folder = new TestFolder();
  folder.write("kernel.img");
  const ask = "function hvsh; string join / -- $argv[3..-1]; end";
  const cases: [string, string[]][] = [
    ["cr", ["create"]],
    ["create --mem", ["--memory"]],
    ["kernel --unpack y", ["yes"]],
    ["kernel kern", ["kernel.img"]],
    ["map shared k", ["kernel.img"]],
    ["create --memory 1G ", []],
    ["pause r", ["running-vm/"]],
    ["break --length 4 web s", ["symbol/web"]],
    ["ctl web disk0 d", ["device-word/web/disk0"]],
    ["regs web --get r", ["register/web"]],
  ];
  const lines = cases.map(([line]) => `complete -C 'hvsh ${line}'; echo ==\n`).join("");
  const { stdout, stderr } = await shLine("fish --no-config", {
    stdin: `${ask}\n${fishCompletions(verbs)}\n${lines}`,
    cwd: folder.path,
    env: { HOME: folder.path },
  });
  equal(stderr, "");
  const answers = stdout.split("==\n").slice(0, -1).map((answer) =>
    answer.split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0])
  );
  for (const [i, [line, expected]] of cases.entries()) deepEqual(answers[i], expected, line);
});

Deno.test("zsh completes the same, on a terminal", { ignore: await lacks("zsh") }, async () => {
  await using folder = new TestFolder();
  folder.write("kernel.img");
  folder.write("_hvsh", zshCompletions(verbs));
  folder.write(
    "rc",
    `PS1='ready> ' fpath=("$PWD" $fpath)
autoload -U compinit; compinit -u -d "$PWD/dump"; zstyle ':completion:*' list-colors ''
hvsh() { print -r -- "$(IFS=/; echo "\${*[3,-1]}")" }
`,
  );
  const env = { ZDOTDIR: folder.path, HOME: folder.path };
  await using zsh = new ShellOnTerminal(folder.path, env, ["zsh", "-f"]);
  zsh.type(". ./rc; clear\r");
  await zsh.see(/^ready> $|^ready>$/m);
  const cases: [string, RegExp][] = [
    ["creat", /ready> hvsh create *$/],
    ["create --mem", /ready> hvsh create --memory=?$/],
    ["kernel --unpack y", /ready> hvsh kernel --unpack yes$/],
    ["kernel ker", /ready> hvsh kernel kernel\.img$/],
    ["pause r", /ready> hvsh pause running-vm\/?$/],
    ["break --length 4 web s", /ready> hvsh break --length 4 web symbol\/web$/],
    ["ctl web disk0 d", /ready> hvsh ctl web disk0 device-word\/web\/disk0$/],
    ["regs web --get r", /ready> hvsh regs web --get register\/web$/],
  ];
  for (const [line, expected] of cases) {
    zsh.type(`hvsh ${line}\t`);
    await zsh.see(expected);
    zsh.type("\x03\x0c");
  }
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
  match(fish, /'__hvsh_place kernel 0' -F/);
});
