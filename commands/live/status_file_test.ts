import assert from "node:assert/strict";
import { readStatus, StatusFile } from "./status_file.ts";
import type { RunDirectory } from "./run_directory.ts";

Deno.test("what an owner says of its VM is what others read", () => {
  const folder = Deno.makeTempDirSync();
  const directory = { name: "web", status: `${folder}/status` } as RunDirectory;
  const file = new StatusFile(directory);
  assert.equal(readStatus(directory), undefined);
  const handle = { live: "web", pid: 812, state: "paused" };
  file.write(handle);
  assert.equal(Deno.readTextFileSync(directory.status), "pid 812\nstate paused\n");
  assert.deepEqual(readStatus(directory), handle);
  for (const odd of ["true", "12", "new", '"', "a b", "line\nbreak", "", "tab"]) {
    const more = { ...handle, more: odd, address: 0x7c00, list: [1, { a: "b" }] };
    file.write(more);
    assert.deepEqual(readStatus(directory), more);
  }
  Deno.removeSync(folder, { recursive: true });
  file.write({ ...handle, state: "running" }); // a folder that is gone is no reason to fail
  assert.equal(readStatus(directory), undefined);
});
