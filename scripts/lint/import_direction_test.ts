import { deepEqual, equal } from "node:assert/strict";
import plugin from "./import_direction.ts";

const root = new URL("../../", import.meta.url).pathname;

function objections(file: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, root + file, source).map(({ message }) => message);
}

Deno.test("imports down the layers and inside one are fine", () => {
  const allowed: [string, string][] = [
    ["commands/a.ts", "../vmm/b.ts"],
    ["commands/verbs/a.ts", "../../ffi/b.ts"],
    ["vmm/boot/a.ts", "../../ffi/b.ts"],
    ["vmm/devices/a.ts", "../board.ts"],
    ["vmm/machine.ts", "./devices/a.ts"],
    ["ffi/kvm/a.ts", "../b.ts"],
    ["commands/verbs/version.ts", "../../deno.json"],
    ["vmm/a_test.ts", "../tests/fake.ts"],
    ["mod.ts", "./vmm/machine.ts"],
    ["tests/a.ts", "../commands/b.ts"],
    ["vmm/a.ts", "valibot"],
    ["vmm/a.ts", "node:zlib"],
  ];
  for (const [file, specifier] of allowed) {
    deepEqual(objections(file, `import { x } from "${specifier}"; x;`), [], `${file} ${specifier}`);
  }
});

Deno.test("imports back up, out of the project and from product code to tests are refused", () => {
  const refused: [string, string][] = [
    ["ffi/a.ts", "../vmm/b.ts"],
    ["ffi/kvm/a.ts", "../../commands/b.ts"],
    ["vmm/a.ts", "../commands/b.ts"],
    ["vmm/a.ts", "../mod.ts"],
    ["vmm/a.ts", "../scripts/b.ts"],
    ["vmm/a.ts", "../tests/fake.ts"],
    ["vmm/devices/a.ts", "../machine.ts"],
    ["vmm/devices/a.ts", "../machine/threads.ts"],
    ["commands/a.ts", "../../shared/b.ts"],
    ["tests/a.ts", "../../shared/b.ts"],
  ];
  for (const [file, specifier] of refused) {
    equal(
      objections(file, `import { x } from "${specifier}"; x;`).length,
      1,
      `${file} ${specifier}`,
    );
  }
});

Deno.test("every way to name a module counts", () => {
  for (
    const source of [
      `import type { X } from "../commands/b.ts"; export type Y = X;`,
      `export { x } from "../commands/b.ts";`,
      `export * from "../commands/b.ts";`,
      `await import("../commands/b.ts");`,
      `new Worker(new URL("../commands/b.ts", import.meta.url));`,
    ]
  ) {
    equal(objections("vmm/a.ts", source).length, 1, source);
  }
});
