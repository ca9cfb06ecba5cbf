import { deepEqual, equal, match } from "node:assert/strict";
import { DocumentError } from "../ffi/errors.ts";
import { shLine, TestFolder } from "../tests/sh_line.ts";
import { parseDocument } from "../vmm/document.ts";
import { readObjects } from "./document_input.ts";

/** What `run` says about a document on its stdin. */
async function complaint(text: string): Promise<string> {
  try {
    const [value] = await Array.fromAsync(
      readObjects(new Blob([text]).stream()),
    );
    parseDocument(value, "stdin");
  } catch (error) {
    if (error instanceof DocumentError) return error.message;
    throw error;
  }
  return "nothing";
}

Deno.test("numbers that are none, negative, broken or too large are named by their key", async () => {
  const cases: [string, RegExp][] = [
    ['{"vm":1,"cpus":NaN}', /not JSON at "NaN/],
    ['{"vm":1,"cpus":Infinity}', /not JSON at "Infinity/],
    ['{"vm":1,"cpus":0}', /cpus/],
    ['{"vm":1,"cpus":-1}', /cpus/],
    ['{"vm":1,"cpus":1.5}', /cpus/],
    ['{"vm":1,"cpus":256}', /cpus/],
    ['{"vm":1,"cpus":1e400}', /cpus/],
    ['{"vm":1,"cpus":"2"}', /cpus/],
    ['{"vm":1,"memory":[{"type":"ram","size":-4096}]}', /memory\.0\.size/],
    ['{"vm":1,"memory":[{"type":"ram","size":1e300}]}', /memory\.0\.size/],
    ['{"vm":1,"memory":[{"type":"ram","size":"12Q"}]}', /memory\.0\.size.*K, M, G, T/],
    ['{"vm":1,"memory":[{"type":"ram","size":null}]}', /memory\.0\.size/],
    ['{"vm":1,"memory":[{"type":"ram","base":18446744073709551616}]}', /memory\.0\.base/],
    ['{"vm":1,"memory":[{"type":"rom","base":-1,"path":"/x"}]}', /memory\.0\.base/],
    ['{"vm":1,"boot":{"flat":{"images":[{"data":"*"}]}}}', /boot\.flat\.images\.0\.data/],
    ['{"vm":1,"boot":{"flat":{"images":[],"entry":-1}}}', /boot\.flat\.entry/],
    ['{"vm":1,"boot":{"kernel":{"path":""}}}', /boot\.kernel\.path/],
    ['{"vm":1,"boot":{"kernel":{"path":"/a\\u0000b"}}}', /boot\.kernel\.path.*NUL/],
    ['{"vm":1,"name":"../../etc"}', /name/],
    ['{"vm":1,"devices":[{"type":""}]}', /devices\.0\.type/],
  ];
  for (const [text, message] of cases) match(await complaint(text), message, text);
});

Deno.test("two devices of one name are refused", async () => {
  const text = '{"vm":1,"devices":[{"type":"serial","name":"a"},{"type":"serial","name":"a"}]}';
  equal(await complaint(text), 'VM document on stdin: two devices are named "a"');
});

Deno.test("a key that appears twice counts once, the last time, as in jq", async () => {
  const { stdout } = await shLine("hvsh cmdline a", { stdin: '{"vm":3,"vm":1,"x":1,"x":2}' });
  equal(stdout, '{"vm":1,"x":2,"boot":{"cmdline":"a"}}\n');
});

Deno.test("keys that JavaScript's objects have by nature are keys like others", async () => {
  const text = '{"vm":1,"__proto__":{"cpus":9},"constructor":1,"toString":2}';
  const { stdout } = await shLine("hvsh serial", { stdin: text });
  equal(
    stdout,
    '{"vm":1,"__proto__":{"cpus":9},"constructor":1,"toString":2,' +
      '"devices":[{"type":"serial","name":"serial0"}]}\n',
  );
});

Deno.test("a document nested a million deep comes through as it is", async () => {
  const depth = 1_000_000;
  const nested = `"x":${"[".repeat(depth)}${"]".repeat(depth)}`;
  const { status, stdout, stderr } = await shLine("hvsh cmdline a", {
    stdin: `{"vm":1,${nested}}`,
  });
  deepEqual([status, stderr], [0, ""]);
  equal(stdout === `{"vm":1,${nested},"boot":{"cmdline":"a"}}\n`, true);
});

Deno.test("paths in a document are run's to check, with 125", async () => {
  await using folder = new TestFolder();
  for (const path of [`${folder.path}/missing`, folder.path, "/dev/zero"]) {
    const stdin = JSON.stringify({
      vm: 1,
      memory: [{ type: "ram", size: "64M" }],
      boot: { kernel: { path } },
    });
    const { status, stdout, stderr } = await shLine("hvsh run", { stdin });
    deepEqual([status, stdout], [125, ""], stderr);
    match(stderr, new RegExp(path));
  }
});
