import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ImageError } from "../../../ffi/errors.ts";
import { loadOrder, readDependencies, readModules, readModuleTree } from "./kernel_modules.ts";

const DEPENDENCIES = [
  "kernel/a/kvm-amd.ko: kernel/a/kvm.ko kernel/b/irqbypass.ko",
  "kernel/a/kvm.ko: kernel/b/irqbypass.ko",
  "kernel/b/irqbypass.ko:",
  "kernel/c/other.ko.xz: kernel/a/kvm.ko",
  "",
].join("\n");

Deno.test("a module is loaded after those that it needs, each once, and no other", () => {
  const needs = readDependencies(DEPENDENCIES);
  assert.deepEqual(loadOrder(needs, ["kvm_amd", "irqbypass", "not_there"]), [
    "kernel/b/irqbypass.ko",
    "kernel/a/kvm.ko",
    "kernel/a/kvm-amd.ko",
  ]);
});

Deno.test("modules that wait for each other are loaded all the same", () => {
  const needs = readDependencies("a.ko: b.ko\nb.ko: a.ko\n");
  assert.deepEqual(loadOrder(needs, ["a"]), ["b.ko", "a.ko"]);
});

Deno.test("modules are unpacked, whatever they are compressed with", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assert.equal(await readModuleTree(folder), undefined);
    const file = (name: string) => new TextEncoder().encode(`\x7fELF ${name}`);
    await Deno.writeTextFile(
      `${folder}/modules.dep`,
      "one.ko.gz: two.ko.zst\ntwo.ko.zst: three-3.ko\nthree-3.ko:\nbroken.ko.zst:\ntext.ko:\n",
    );
    await Deno.writeTextFile(`${folder}/modules.builtin`, "kernel/fs/fuse/fuse.ko\n");
    await Deno.writeFile(`${folder}/one.ko.gz`, gzipSync(file("one")));
    await Deno.writeFile(`${folder}/two.ko.zst`, zstdCompressSync(file("two")));
    await Deno.writeFile(`${folder}/three-3.ko`, file("three"));
    await Deno.writeTextFile(`${folder}/broken.ko.zst`, "no archive");
    await Deno.writeTextFile(`${folder}/text.ko`, "no module");
    const tree = (await readModuleTree(folder))!;
    assert.deepEqual([...tree.builtIn], ["fuse"]);
    const modules = await readModules(tree, ["one", "fuse"]);
    assert.deepEqual(
      modules.map(({ name, data }) => [name, new TextDecoder().decode(data)]),
      [
        ["three_3", "\x7fELF three"],
        ["two", "\x7fELF two"],
        ["one", "\x7fELF one"],
      ],
    );
    for (const wanted of ["broken", "text"]) {
      await assert.rejects(readModules(tree, [wanted]), ImageError);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
