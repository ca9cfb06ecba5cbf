/** The verbs that read and write a live VM's memory; what they do asks nothing of KVM. */
import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import { COUNT, listing, SPIN } from "../guest_code.ts";
import { ended, paused, records, said } from "../inspected_vm.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Writes "Hi" in two colours to the screen, then spins. Real mode. */
const SCREEN = listing(`
  b8 00 b8              mov ax, 0xb800
  8e d8                 mov ds, ax
  c7 06 00 00 48 1e     mov word [0], 0x1e48  ; H, yellow on blue
  c7 06 02 00 69 2f     mov word [2], 0x2f69  ; i, white on green
  c7 06 a0 00 db 04     mov word [160], 0x04db ; a full block in red, on the second line
  eb fe                 jmp $
`);

onKvm("mem reads, writes and finds bytes, while the guest runs", async () => {
  await using home = new HvshHome();
  home.write("count.bin", COUNT);
  home.write("patch", Uint8Array.of(0x90, 0x90));
  said(await home.line("hvsh run -d -n web -m 64M --flat count.bin"));
  assert.equal(said(await home.line("hvsh mem read web 0x7c00 2 | cat")), "\xb8\0");
  assert.equal(said(await home.line("printf hello | hvsh mem write web 0x3000000")), "");
  assert.equal(said(await home.run(["mem", "read", "web", "48M", "5"])), "hello");
  assert.deepEqual(
    records(await home.line("hvsh list | hvsh mem write 0x20000 patch")).map(({ live }) => live),
    ["web"],
  );
  assert.equal(
    said(await home.line("hvsh list | hvsh mem read 0x20000 3 --virtual")),
    "\x90\x90\0",
  );
  assert.deepEqual(records(await home.run(["mem", "search", "web", "hello"])), [
    { live: "web", address: "0x3000000" },
  ]);
  const hex = records(await home.run(["mem", "search", "web", "0x8ed866ff"]));
  assert.deepEqual(hex, [{ live: "web", address: "0x7c03" }]);
  assert.deepEqual(records(await home.run(["mem", "map", "web"])), [
    { live: "web", address: "0x0", size: 2 ** 26, type: "ram", readonly: false },
  ]);
  const count = async () => said(await home.run(["mem", "read", "web", "0x10000", "4"]));
  const before = await count();
  while (await count() === before); // it counts on
  await ended(home, "web");
});

onKvm("mem takes a number for an address unless a live VM has it for a name", async () => {
  await using home = new HvshHome();
  home.write("7", "seven");
  await paused(home, "web", SPIN, "-m", "1M");
  const [written] = records(await home.line("hvsh list web | hvsh mem write 0x8000 7"));
  assert.equal(written!.live, "web");
  assert.equal(said(await home.run(["mem", "read", "web", "0x8000", "5"])), "seven");
  await paused(home, "4096", SPIN, "-m", "1M");
  assert.equal(said(await home.line("printf bytes | hvsh mem write 4096 0x8000")), "");
  assert.equal(said(await home.run(["mem", "read", "4096", "0x8000", "5"])), "bytes");
  for (const words of [["read", "web", "0x7c00"], ["read", "web"], ["write", "web"]]) {
    const { status, stderr } = await home.run(["mem", ...words]);
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`It is: hvsh mem ${words[0]} `));
  }
  for (const name of ["web", "4096"]) await ended(home, name);
});

onKvm("mem moves much, and ends when nobody reads", async () => {
  await using home = new HvshHome();
  await paused(home, "big", SPIN, "-m", "64M");
  const size = 32 * 2 ** 20;
  const sum = "head -c 33554432 /dev/zero | tr '\\0' x | cksum";
  said(
    await home.line("head -c 33554432 /dev/zero | tr '\\0' x | hvsh mem write big 1M"),
  );
  const line = await home.line(`hvsh mem read big 1M 32M | cksum; ${sum}`);
  const [read, wanted] = said(line).split("\n");
  assert.equal(read, wanted);
  assert.ok(read!.endsWith(` ${size}`));
  assert.equal(said(await home.line("hvsh mem read big 0 64M | head -c 1 | wc -c")).trim(), "1");
  await ended(home, "big");
});

onKvm("what is no memory is said to be none", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SPIN, "-m", "1M");
  for (
    const [words, message] of [
      [["read", "web", "0xfee00000", "4"], /0xfee00000 is not memory but a device's, or nobody's/],
      [["read", "web", "0xffff0", "32"], /0x100000 is not memory/],
      [["map", "web", "--virtual"], /VM "web" has paging off/],
      [["read", "web", "start_kernel", "4"], /neither an address nor a symbol of VM "web"/],
      [["read", "web", "0x1000", "4Q"], /Cannot parse the size "4Q"/],
      [["search", "web", "0x0000"], /Zeros are everywhere/],
      [["read", "web", "1", "2", "3"], /It is: hvsh mem read \[NAME\] ADDR LENGTH/],
    ] as const
  ) {
    const { status, stdout, stderr } = await home.run(["mem", ...words]);
    assert.deepEqual([status === 2 || status === 125, stdout], [true, ""]);
    assert.match(stderr, message);
  }
  await ended(home, "web");
});

onKvm("screen prints the text screen, and draws it", async () => {
  await using home = new HvshHome();
  home.write("screen.bin", SCREEN);
  said(await home.line("hvsh run -d -n web --flat screen.bin"));
  let text = "";
  while (!text.includes("█")) {
    text = new TextDecoder().decode(
      Uint8Array.from(said(await home.run(["screen", "web"])), (c) => c.charCodeAt(0)),
    );
  }
  assert.equal(text, "Hi\n█\n");
  const png = Uint8Array.from(
    said(await home.run(["screen", "web", "--png"])),
    (c) => c.charCodeAt(0),
  );
  const view = new DataView(png.buffer);
  assert.deepEqual([view.getUint32(16), view.getUint32(20)], [640, 400]);
  const data = new TextDecoder("latin1").decode(png).indexOf("IDAT");
  const pixels = inflateSync(png.subarray(data + 4, data + 4 + view.getUint32(data - 4)));
  const pixel = (x: number, y: number) => {
    const byte = pixels[y * 321 + 1 + (x >> 1)]!;
    return x % 2 === 0 ? byte >> 4 : byte & 0xf;
  };
  assert.deepEqual([pixel(0, 0), pixel(1, 1), pixel(8, 0), pixel(3, 20)], [1, 14, 2, 4]);
  await ended(home, "web");
});
