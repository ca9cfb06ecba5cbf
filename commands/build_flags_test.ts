import { deepEqual, equal, rejects } from "node:assert/strict";
import { TestFolder } from "../tests/sh_line.ts";
import type { VmDocument } from "../vmm/document.ts";
import { type Grammar, parseWords } from "./argv.ts";
import { applyBuildFlags, bootsFromWords, buildFlags } from "./build_flags.ts";
import { loadVerb } from "./table.ts";

const grammar: Grammar = {
  name: "run",
  flags: buildFlags,
  arguments: [{ name: "IMAGE", value: "path", optional: true, help: "" }],
};

async function fromFlags(
  words: readonly string[],
  cwd: string,
  document?: VmDocument,
  stdin: readonly number[] = [],
): Promise<VmDocument> {
  const readStdin = () => Promise.resolve(new Uint8Array(stdin));
  return await applyBuildFlags(document, parseWords(grammar, words), { cwd, readStdin });
}

async function fromPipeline(lines: readonly string[][], cwd: string): Promise<VmDocument> {
  let document: VmDocument = { vm: 1 };
  for (const [name, ...words] of lines) {
    const verb = (await loadVerb(name!))!;
    document = verb.build!(document, parseWords(verb, words), cwd);
  }
  return document;
}

Deno.test("flags build what the pipeline of builders builds", async () => {
  await using folder = new TestFolder();
  for (const name of ["k", "i", "m", "f"]) folder.write(name);
  const cases: [flags: string[], pipeline: string[][]][] = [
    [["-m", "1G", "-c2", "-n", "web", "--kernel", "k", "--unpack=no", "--entry", "pvh"], [
      ["create", "-m1G", "-c2", "-nweb"],
      ["kernel", "k", "--unpack=no", "--entry=pvh"],
    ]],
    [["--kernel=k", "--initrd", "i", "--initrd=m", "--cmdline", "a b", "--cmdline=c"], [
      ["create"],
      ["kernel", "k"],
      ["initrd", "i", "m"],
      ["cmdline", "a b", "c"],
    ]],
    [["--flat", "f@0x1000", "--flat=k@8K", "--mode=long", "--entry", "0x1010"], [
      ["create"],
      ["flat", "f@0x1000", "k@8K", "--mode=long", "--entry=0x1010"],
    ]],
    [["--multiboot=k", "--module", "m a b", "--module=i", "--mask", "cx16"], [
      ["create"],
      ["cpu", "--mask=cx16"],
      ["multiboot", "k", "--module=m a b", "--module=i"],
    ]],
    [["--firmware=f", "--map", "ram 1M@4G", "--map=rom m@0xf0000 --size 4K", "--serial="], [
      ["create"],
      ["map", "ram", "1M@4G"],
      ["map", "rom", "m@0xf0000", "--size=4K"],
      ["firmware", "f"],
      ["serial"],
    ]],
    [["--flat=f", "--device", "pvpanic -n p a=1", "--serial", "-n log"], [
      ["create"],
      ["flat", "f"],
      ["serial", "-n", "log"],
      ["device", "pvpanic", "-n", "p", "a=1"],
    ]],
  ];
  for (const [flags, pipeline] of cases) {
    deepEqual(
      await fromFlags(flags, folder.path),
      await fromPipeline(pipeline, folder.path),
      flags.join(" "),
    );
  }
});

Deno.test("a path with a blank stands in quotes within a device's flag", async () => {
  await using folder = new TestFolder();
  folder.write("a b.img");
  const built = await fromFlags(
    ["--disk", "'a b.img' -r", "--multiboot", "a b.img", "--module", "'a b.img'  x  y"],
    folder.path,
  );
  equal(built.devices![1]!.path, `${folder.path}/a b.img`);
  const [module] = built.boot!.multiboot!.modules!;
  deepEqual(module, { path: `${folder.path}/a b.img`, cmdline: "x  y" });
  await rejects(
    fromFlags(["--disk", "'a b.img -r"], folder.path),
    /The quote in 'a b\.img -r has no end/,
  );
});

Deno.test("flags change the document that comes on stdin", async () => {
  const document: VmDocument = {
    vm: 1,
    memory: [{ type: "rom", base: 0 }, { type: "ram", size: 4096 }],
    cpus: 1,
    name: "a",
  };
  deepEqual(await fromFlags(["-m", "8K", "-c", "3", "-n", "b"], "/", document), {
    vm: 1,
    memory: [{ type: "rom", base: 0 }, { type: "ram", size: 8192 }],
    cpus: 3,
    name: "b",
  });
  deepEqual(await fromFlags([], "/", document), document);
});

Deno.test("an image that is - is what stdin has, as data", async () => {
  const { boot } = await fromFlags(["--flat", "-"], "/", undefined, [0xf4]);
  deepEqual(boot?.flat?.images, [{ data: "9A==" }]);
  const placed = await fromFlags(["--flat", "-@0x1000"], "/", undefined, [0xf4]);
  deepEqual(placed.boot?.flat?.images, [{ data: "9A==", base: 0x1000 }]);
  await rejects(fromFlags(["--flat=-", "--flat=-@1M"], "/"), /Two images cannot both be stdin/);
});

Deno.test("an image without a flag boots as its first bytes say", async () => {
  await using folder = new TestFolder();
  const bootSector = new Uint8Array(512);
  bootSector.set([0x55, 0xaa], 510);
  const kernel = new Uint8Array(1024);
  kernel.set(new TextEncoder().encode("HdrS"), 0x202);
  folder.write("sector", bootSector);
  folder.write("kernel", kernel);
  folder.write("elf", new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]));
  folder.write("vm.json", '{"vm":1}');
  folder.write("text", "hello");
  deepEqual((await fromFlags(["sector"], folder.path)).boot, {
    flat: { images: [{ path: `${folder.path}/sector` }] },
  });
  for (const name of ["kernel", "elf"]) {
    deepEqual((await fromFlags([name], folder.path)).boot, {
      kernel: { path: `${folder.path}/${name}` },
    });
  }
  await rejects(fromFlags(["vm.json"], folder.path), /^ImageError: vm\.json is a VM document$/);
  await rejects(fromFlags(["text"], folder.path), /text is no kernel and no boot sector/);
  await rejects(fromFlags(["none"], folder.path), /none: no such file/);
});

Deno.test("a flag that would do nothing is refused", async () => {
  await rejects(fromFlags(["--mode=long"], "/"), /--mode does nothing without --flat/);
  await rejects(
    fromFlags(["--entry=1"], "/"),
    /--entry does nothing without --kernel or --flat/,
  );
});

Deno.test("a flag that two builders have is checked by the one that boots", async () => {
  await using folder = new TestFolder();
  folder.write("k");
  await rejects(
    fromFlags(["--kernel=k", "--entry=0x1000"], folder.path),
    /--entry with --kernel: "0x1000" is not one of/,
  );
  await rejects(
    fromFlags(["--flat=k", "--entry=pvh"], folder.path),
    /--entry with --flat: Cannot parse the address "pvh"/,
  );
});

Deno.test("words that say what boots leave stdin to the guest", () => {
  equal(bootsFromWords(parseWords(grammar, ["--kernel=k"])), true);
  equal(bootsFromWords(parseWords(grammar, ["k"])), true);
  equal(bootsFromWords(parseWords(grammar, ["-m1G", "--serial="])), false);
});
