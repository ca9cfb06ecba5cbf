import { deepEqual, equal } from "node:assert/strict";
import { loadVerb } from "../table.ts";
import { flagsLeft, type VerbPlace, verbPlace } from "./verb_place.ts";

/** The place of the last word of a line. */
async function at(line: string): Promise<VerbPlace> {
  const [name, ...words] = line.split(" ");
  return verbPlace((await loadVerb(name!))!, words.slice(0, -1), words.at(-1)!);
}

Deno.test("what may stand in a place is what the verb's row says of it", async () => {
  const cases: [line: string, kind: string | undefined, vm?: string, before?: string[]][] = [
    ["kernel ", "path"],
    ["create ", undefined],
    ["create -m ", "size"],
    ["create -qm ", "size"],
    ["create -m1G ", undefined],
    ["create --name web ", undefined],
    ["break ", "vm"],
    ["break web ", "symbol", "web"],
    ["break web --if ", "condition", "web"],
    ["break --if 1 web sched", "symbol", "web"],
    ["ctl web ", "device", "web"],
    ["ctl web disk0 ", "device-word", "web", ["disk0"]],
    ["ctl web disk0 resize ", "device-value", "web", ["disk0", "resize"]],
    ["disasm ", "vm"],
    ["disasm web ", "symbol", "web"],
    ["mem read ", "vm", "", ["read"]],
    ["mem read web ", "symbol", "web", ["read"]],
    ["regs web ", "register-group", "web"],
    ["regs web --get ", "register", "web"],
    ["regs web --set ", "register-setting", "web"],
    ["regs web --set rip=1 ", "register-setting", "web", []],
    ["pause web ", "running-vm", "web"],
    ["attach web ", "device-verb", "web"],
    ["attach web disk --re", "device-verb", "web", []],
    ["migrate web -- ", "path", "web"],
  ];
  for (const [line, kind, vm = "", before = []] of cases) {
    const place = await at(line);
    equal(place.kind, kind, line);
    equal(place.vm ?? "", vm, line);
    if (!line.startsWith("regs web --set rip")) deepEqual(place.before, before, line);
  }
});

Deno.test("a flag's value may begin behind =, and another verb's line is taken as it is", async () => {
  deepEqual((await at("kernel --unpack=y")).prefix, "--unpack=");
  deepEqual((await at("kernel --unpack=y")).kind, ["yes", "no"]);
  equal((await at("kernel --nothing=y")).kind, undefined);
  deepEqual((await at("attach web disk -o")).line, ["disk"]);
  equal((await at("attach web disk -o")).flags, false);
  equal((await at("attach web ")).line?.length, 0);
});

Deno.test("flags that were given are not offered again, unless they may repeat", async () => {
  const verb = (await loadVerb("regs"))!;
  const words = flagsLeft(verb, ["--cpu", "1", "--get", "rip"]).map(({ word }) => word);
  equal(words.includes("--cpu"), false);
  equal(words.includes("--get"), true);
  deepEqual(flagsLeft(verb, [])[0], {
    word: "--cpu",
    label: "--cpu N",
    help: verb.flags.cpu!.help,
  });
});
