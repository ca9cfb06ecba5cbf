/** Copies of live VMs in processes of their own: `hvsh fork`, and what follows it in a line. */
import assert from "node:assert/strict";
import { listing } from "../guest_code.ts";
import { openFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

const DEADLINE = 180_000;

/** Counts in a dword. Real mode. */
const COUNT = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  66 ff 06 00 05        inc dword [0x500]    ; again:
  eb f9                 jmp again
`);

/** Ends with the status that is at 0x600, once it is not 0. Real mode. */
const WAIT_FOR_STATUS = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  a0 00 06              mov al, [0x600]      ; again:
  84 c0                 test al, al
  74 f9                 jz again
  e6 f4                 out 0xf4, al
`);

onKvm(
  "hvsh fork makes VMs of their own, with names, and leaves the original as it is",
  async () => {
    await using home = new HvshHome();
    await detached(home, "gold", COUNT);
    await home.run(["pause", "gold"]);
    const handles = records(await home.run(["fork", "gold", "-n", "try", "--count", "3"]));
    assert.deepEqual(
      handles.map(({ live, state }) => [live, state]),
      [["try-1", "paused"], ["try-2", "paused"], ["try-3", "paused"]],
    );
    const counter = async (name: string) =>
      (await home.run(["mem", "read", name, "0x500", "4", "-o", "json"])).stdout;
    assert.equal(await counter("try-1"), await counter("gold"));
    records(await home.run(["resume", "try-1"]));
    while (await counter("try-1") === await counter("gold"));
    assert.equal(await counter("try-2"), await counter("gold"));
    const [grandchild] = records(await home.line("hvsh fork try-2 -n grand | hvsh resume"));
    assert.deepEqual([grandchild!.live, grandchild!.state], ["grand", "running"]);
    // A taken name is refused, and harms nobody.
    const taken = await home.run(["fork", "gold", "-n", "grand"]);
    assert.equal(taken.status, 125);
    assert.match(taken.stderr, /grand/);
    for (const name of ["gold", "try-1", "try-2", "try-3", "grand"]) {
      await home.run(["kill", name]);
      await home.run(["wait", name]);
    }
  },
);

onKvm("copies of a VM that runs leave one image of its memory with it, however many", async () => {
  await using home = new HvshHome();
  const { pid } = await detached(home, "gold", COUNT);
  const images = () => openFiles(Number(pid)).filter((file) => file.includes("memfd:hvsh-image"));
  for (let i = 0; i < 3; i++) {
    const [copy] = records(await home.run(["fork", "gold", "-n", `try${i}`]));
    assert.equal(copy!.state, "running");
  }
  // The last one's descriptors go when its VM has heard that the client has gone.
  const late = performance.now() + DEADLINE;
  while (images().length > 1) {
    assert.ok(performance.now() < late, `${images()}`);
    await new Promise((resolve) => setTimeout(resolve));
  }
  for (const name of ["gold", "try0", "try1", "try2"]) {
    await home.run(["kill", name]);
    await home.run(["wait", name]);
  }
});

onKvm("a corpus is tried on copies: written, run to their ends, and forgotten", async () => {
  await using home = new HvshHome();
  await detached(home, "gold", WAIT_FOR_STATUS);
  await home.run(["pause", "gold"]);
  home.write("seven", Uint8Array.of(7));
  const tried = await home.line(
    "hvsh fork gold --rm | hvsh mem write 0x600 seven | hvsh resume --wait --timeout 60",
  );
  assert.equal(tried.status, 7);
  const late = await home.line("hvsh fork gold --rm | hvsh resume --wait --timeout 0.2");
  assert.equal(late.status, 124);
  const [left, ...more] = records(await home.run(["list"]));
  assert.deepEqual([left!.live, more.length], ["gold", 0]);
  await home.run(["kill", "gold"]);
  await home.run(["wait", "gold"]);
});
