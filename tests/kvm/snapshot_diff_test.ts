/** Snapshots of what has changed since another, and machines that go on from a chain of them. */
import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

/** Counts in a dword at 0x20000, which no code is near. Real mode. */
const COUNT = listing(`
  b8 00 20              mov ax, 0x2000
  8e d8                 mov ds, ax
  66 ff 06 00 00        inc dword [0]        ; again:
  eb f9                 jmp again
`);
const PAGE = 4096;
const MIB = 2 ** 20;

onKvm("a chain of changes gives the VM of its last snapshot", async () => {
  await using home = new HvshHome();
  await detached(home, "web", COUNT, "-m", "16M");
  const counter = async () =>
    (await home.run(["mem", "read", "web", "0x20000", "4", "-o", "json"])).stdout;
  const goOn = async () => {
    const before = await counter();
    while (await counter() === before);
  };
  // Much that does not change makes the base long.
  home.write("much", crypto.getRandomValues(new Uint8Array(65536)));
  for (let at = MIB; at < 2 * MIB; at += 65536) {
    records(await home.line(`hvsh list | hvsh mem write ${at} much`));
  }
  const take = async (name: string, ...flags: string[]) => {
    const { status, stderr } = await home.run(["snapshot", "web", ...flags, "-o", name]);
    assert.deepEqual([status, stderr], [0, ""]);
    return Deno.statSync(`${home.folder}/${name}`).size;
  };
  const base = await take("base.tar", "--track");
  await goOn();
  const first = await take("1.tar", "--diff", "base.tar");
  await goOn();
  // Once taken, the base is not the last snapshot any more.
  const stale = await home.run(["snapshot", "web", "--diff", "base.tar", "-o", "stale.tar"]);
  assert.equal(stale.status, 125);
  assert.match(stale.stderr, /Nobody has noted/);
  records(await home.run(["pause", "web"]));
  records(await home.line("hvsh list | hvsh mem write 0x300000 much"));
  const second = await take("2.tar", "--diff", "1.tar");
  const last = await counter();
  await home.run(["kill", "web"]);
  await home.run(["wait", "web"]);
  assert.ok(base > MIB && first < base / 4 && second < base / 4);

  const restore = (...words: string[]) => home.run(["restore", "-d", "--paused", ...words]);
  records(await restore("base.tar", "--diff", "1.tar", "--diff", "2.tar"));
  assert.equal(await counter(), last);
  const written = await home.run(["mem", "read", "web", "0x300000", "65536"]);
  assert.equal(written.status, 0);
  records(await home.run(["resume", "web"]));
  await goOn();
  await home.run(["kill", "web"]);
  await home.run(["wait", "web"]);

  for (
    const [words, complaint] of [
      [["1.tar"], /only what has changed since another/],
      [["base.tar", "--diff", "2.tar"], /not what has changed since the one before/],
      [["base.tar", "--diff", "base.tar"], /not what has changed since the one before/],
    ] as const
  ) {
    const { status, stderr } = await restore(...words);
    assert.equal(status, 125);
    assert.match(stderr, complaint);
  }
});

onKvm("changes that were taken for nothing are there the next time", async () => {
  await using machine = await Machine.create(
    flatDocument(SPIN, {}, { memory: [{ type: "ram", size: 16 * MIB }] }),
  );
  machine.start({ paused: true });
  const log = machine.dirtyLog;
  log.start({ fixed: false });
  machine.memoryWritten([[3 * PAGE, 1], [100 * PAGE, 2 * PAGE]]);
  const pages = (bitmaps: readonly Uint8Array[]) =>
    [...bitmaps[0]!].flatMap((byte, i) =>
      Array.from({ length: 8 }, (_, bit) => 8 * i + bit).filter((n) => byte & 1 << (n & 7))
    );
  const taken = log.take();
  assert.deepEqual(pages(taken), [3, 100, 101]);
  assert.deepEqual(pages(log.take()), []);
  log.putBack(taken);
  assert.deepEqual(pages(log.take()), [3, 100, 101]);
  const { generation } = log;
  log.start();
  assert.notEqual(log.generation, generation);
});
