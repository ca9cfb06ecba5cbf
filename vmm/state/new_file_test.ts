import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { writeAt } from "../../ffi/files.ts";
import { NewFile } from "./new_file.ts";

const OLD = "old";
const NEW = new TextEncoder().encode("new");

/** Works with a path in a folder of its own, and gives what is in that then. */
function contents(work: (path: string) => void): Record<string, string> {
  const folder = Deno.makeTempDirSync();
  try {
    work(`${folder}/file`);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    return Object.fromEntries(
      names.map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Writes a file as far as it is said. */
function write(path: string, steps: { readonly place: boolean; readonly keep: boolean }): void {
  using file = new NewFile(path);
  writeAt(file.fd, NEW, 0);
  if (steps.place) {
    file.place();
    assert.equal(Deno.readTextFileSync(path), "new");
  }
  if (steps.keep) file.keep();
}

Deno.test("a file that is kept has its place, whatever was there", () => {
  const kept = { place: true, keep: true };
  assert.deepEqual(contents((path) => write(path, kept)), { file: "new" });
  const over = contents((path) => {
    Deno.writeTextFileSync(path, OLD);
    write(path, kept);
  });
  assert.deepEqual(over, { file: "new" });
});

Deno.test("a file that is not kept leaves its place as it was, also when it had it already", () => {
  for (const place of [false, true]) {
    const steps = { place, keep: false };
    assert.deepEqual(contents((path) => write(path, steps)), {});
    const over = contents((path) => {
      Deno.writeTextFileSync(path, OLD);
      write(path, steps);
    });
    assert.deepEqual(over, { file: "old" });
  }
});

Deno.test("a folder's place is not taken", () => {
  const left = contents((path) => {
    Deno.mkdirSync(path);
    assert.throws(() => write(path, { place: true, keep: true }), /EISDIR/);
    Deno.removeSync(path);
  });
  assert.deepEqual(left, {});
});
