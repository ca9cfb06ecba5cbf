/** The examples of the help that need KVM print what the help says. */
import assert from "node:assert/strict";
import { allExamples } from "../examples.ts";
import { shLine, TestFolder } from "../sh_line.ts";

const examples = (await allExamples()).filter(({ needs, prints }) =>
  needs === "kvm" && prints !== undefined
);

for (const { verb, line, prints } of examples) {
  Deno.test(`${verb}: ${line}`, async () => {
    await using folder = new TestFolder();
    const { status, stdout, stderr } = await shLine(line, { cwd: folder.path });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: prints, stderr: "" });
  });
}

for (const { verb, line, prints } of examples) {
  Deno.test(`${verb} in the shell: ${line}`, async () => {
    await using folder = new TestFolder();
    const script = folder.write("script", `${line}\n`);
    const { status, stdout, stderr } = await shLine(`hvsh "${script}"`, { cwd: folder.path });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: prints, stderr: "" });
  });
}
