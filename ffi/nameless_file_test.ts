import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { HostError } from "./errors.ts";
import { writeAt } from "./files.ts";
import { exchangeFiles, NamelessFile, renameFile } from "./nameless_file.ts";

/** Works in a folder of its own. */
function inFolder(work: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("a file bears its name from when it is told to, and stays then", () =>
  inFolder((folder) => {
    {
      using file = new NamelessFile(`${folder}/a`);
      writeAt(file.fd, Uint8Array.of(1, 2, 3), 0);
      file.name();
      assert.equal(Deno.statSync(`${folder}/a`).mode! & 0o777, 0o600);
    }
    assert.deepEqual(Deno.readFileSync(`${folder}/a`), Uint8Array.of(1, 2, 3));
    using other = new NamelessFile(`${folder}/a`, folder);
    assert.throws(() => other.name(), HostError);
  }));

Deno.test("nothing is left of a file that never got its name", () =>
  inFolder((folder) => {
    {
      using _ = new NamelessFile(`${folder}/a`);
    }
    assert.deepEqual(names(folder), []);
    assert.throws(() => new NamelessFile(`${folder}/none/a`), HostError);
  }));

Deno.test("files change places, and one takes another's", () =>
  inFolder((folder) => {
    const [a, b] = [`${folder}/a`, `${folder}/b`];
    Deno.writeTextFileSync(a, "a");
    Deno.writeTextFileSync(b, "b");
    if (exchangeFiles(a, b)) assert.equal(Deno.readTextFileSync(a), "b");
    Deno.writeTextFileSync(a, "c");
    renameFile(a, b);
    assert.equal(Deno.readTextFileSync(b), "c");
    assert.throws(() => exchangeFiles(a, b), /ENOENT/);
    assert.throws(() => renameFile(a, b), /ENOENT/);
    assert.deepEqual(names(folder), ["b"]);
  }));
