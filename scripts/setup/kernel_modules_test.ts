import assert from "node:assert/strict";
import { SetupError } from "./apt.ts";
import { packModules } from "./kernel_modules.ts";

Deno.test("a kernel without a needed module is named as the reason", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/modules.dep`, "k/a.ko:\n");
    await assert.rejects(
      packModules(folder, ["vhost"]),
      (error) => error instanceof SetupError && error.message.includes("vhost.ko"),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("modules are packed flat, without signatures, with what insmod and modprobe go by", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/modules.dep`, "k/a.ko: k/b-c.ko\nk/b-c.ko:\nk/d.ko:\n");
    await Deno.mkdir(`${folder}/k`);
    const length = new Uint8Array([0, 0, 0, 9]);
    const mark = "~Module signature appended~\n";
    await Deno.writeFile(
      `${folder}/k/a.ko`,
      await new Blob(["ELF", "signature", new Uint8Array(8), length, mark]).bytes(),
    );
    await Deno.writeTextFile(`${folder}/k/b-c.ko`, "unsigned, as some kernels have them");
    const packed = (await packModules(folder, ["a"])).map((entry) =>
      entry.type === "file" ? [entry.path, new TextDecoder().decode(entry.data)] : [entry.path]
    );
    assert.deepEqual(packed, [
      ["modules"],
      ["modules/b-c.ko", "unsigned, as some kernels have them"],
      ["modules/a.ko", "ELF"],
      ["modules/order", "b-c.ko\na.ko\n"],
      ["modules/modules.dep", "b-c.ko:\na.ko: b-c.ko\n"],
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
