/** The worked examples, each as a script of sh and of hvsh's own shell. */
import assert from "node:assert/strict";
import { onKvm } from "../on_kvm.ts";
import { filesBelow } from "../leaks.ts";
import { HvshHome } from "../run_hvsh.ts";
import { endVms, SHELLS } from "../session.ts";

const EXAMPLES = decodeURIComponent(new URL("../../scripts/examples", import.meta.url).pathname);

/**
 * Tests an example in each shell.
 *
 * @param name Its file
 * @param programs What it wants besides hvsh and every Debian's programs
 * @param look Looks at what it has printed and at the folder that it ran in
 */
function example(
  name: string,
  programs: readonly string[],
  look: (output: string, folder: string) => void,
): void {
  for (const shell of SHELLS) {
    onKvm(`${name} in ${shell}`, async () => {
      await using home = new HvshHome();
      const path = `"${EXAMPLES}/${name}"`;
      try {
        const { status, stdout, stderr } = await home.line(shell === "sh" ? path : `hvsh ${path}`);
        assert.deepEqual([status, stderr], [0, ""], stdout);
        look(stdout, home.folder);
      } finally {
        await endVms(home); // of one that has failed
      }
    }, programs);
  }
}

/** The values of a key in the lines of JSON that were printed. */
function values(output: string, key: string): unknown[] {
  return output.split("\n").filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line)[key]).filter((value) => value !== undefined);
}

example("real_mode_lesson.sh", [], (output) => {
  assert.deepEqual(values(output, "es.base"), ["0xb8000"]);
  assert.deepEqual(values(output, "instruction").slice(0, 5), [
    ...["mov ax,0B800h", "mov es,ax", "xor ax,ax", "mov ds,ax", "xor di,di"],
  ]);
  assert.match(output, /^\$ hvsh mem read lesson 0xb8000 1\nH\n/m);
  assert.deepEqual(values(output, "rax"), ["0xb800", "0x48", "0x6f"]);
  assert.match(output, /^HellO!\n/m);
  assert.deepEqual(values(output, "reason").slice(-1), ["halt"]);
});

example("fork_fuzzer.sh", [], (output, folder) => {
  assert.deepEqual(filesBelow(`${folder}/crashes`), ["byte-1", "byte-6"]);
  assert.match(output, /^byte 1: .*"reason":"triple-fault"/m);
  assert.deepEqual([values(output, "rcx"), values(output, "instruction")], [
    ["0xff"],
    ["rep movsb [edi],[esi]"],
  ]);
});

example("fleet.sh", ["jq"], (output) => {
  const states = [...output.matchAll(/^((?:web|db)-\d) +\d+ +(\w+)$/gm)].map(([, ...row]) =>
    row.join(" ")
  );
  const all = ["db-1", "db-2", "web-1", "web-2", "web-3"];
  assert.deepEqual(states, [
    ...all.map((name) => `${name} running`),
    ...all.map((name) => `${name} ${name.startsWith("web") ? "paused" : "running"}`),
  ]);
  assert.match(output, /^db-1 has counted to +\d+$/m);
  assert.match(output, /^web-2 running 1048576\nweb-3 paused 1048576$/m);
  assert.match(output, /^db-1 has ended with 1\n[^]*^db-2 has ended with 2$/m);
  assert.deepEqual(values(output, "reason").slice(-3), ["killed", "killed", "killed"]);
});
