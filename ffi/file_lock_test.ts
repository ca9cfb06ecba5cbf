import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { hasName, isByteLocked, lockByte, tryLockByte, unlockByte } from "./file_lock.ts";

Deno.test("a byte has one holder, looking at it takes nothing, and closing gives it back", () => {
  const path = Deno.makeTempFileSync();
  const first = openFile(path, OpenFlag.RDWR);
  const second = openFile(path, OpenFlag.RDWR);
  assert.equal(isByteLocked(second, 0), false);
  assert.equal(tryLockByte(first, 0), true);
  assert.equal(isByteLocked(second, 0), true);
  assert.equal(isByteLocked(first, 0), false, "one's own lock is no other's");
  assert.equal(tryLockByte(second, 0), false);
  assert.equal(isByteLocked(second, 1), false);
  lockByte(second, 1);
  assert.equal(tryLockByte(first, 1), false);
  unlockByte(second, 1);
  assert.equal(tryLockByte(first, 1), true);
  closeFile(first);
  assert.equal(isByteLocked(second, 0), false);
  assert.equal(tryLockByte(second, 0), true);
  assert.equal(hasName(second), true);
  Deno.removeSync(path);
  assert.equal(hasName(second), false);
  closeFile(second);
});
