import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { hasDescriptors } from "./descriptor_limit.ts";

Deno.test("there is room for so many descriptors, and one fewer once one is open", () => {
  assert(hasDescriptors(0));
  let [least, most] = [1, 2 ** 20];
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (hasDescriptors(middle)) least = middle;
    else most = middle - 1;
  }
  if (least === 2 ** 20) return assert(!hasDescriptors(2 ** 31)); // a limit nobody reaches
  const fd = openFile("/dev/null", OpenFlag.RDONLY);
  assert(!hasDescriptors(least));
  assert(hasDescriptors(least - 1));
  closeFile(fd);
  assert(hasDescriptors(least));
});
