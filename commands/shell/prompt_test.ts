import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { prompt, promptText } from "./prompt.ts";
import { placeText } from "./prompt.ts";

Deno.test("the prompt says which VM is in use, how it is and where it stands", async () => {
  assert.equal(promptText(undefined), "hvsh> ");
  assert.equal(promptText({ name: "web", state: "running" }), "hvsh web:running> ");
  const place = placeText({ cs: "0x0", rip: "0x7c00", cr0: "0x60000010" });
  assert.equal(
    promptText({ name: "boot", state: "paused", place }),
    "hvsh boot:paused 0000:7c00> ",
  );
  assert.equal(placeText({ cs: "0xf000", rip: "0xfff0", cr0: "0x10" }), "f000:fff0");
  assert.equal(
    placeText({ cs: "0x10", rip: "0xffffffff81000000", cr0: "0x1" }),
    "0xffffffff81000000",
  );
  assert.equal(await prompt(undefined), "hvsh> ");
  assert.equal(await prompt("no-such-vm"), "hvsh no-such-vm:gone> ");
});
