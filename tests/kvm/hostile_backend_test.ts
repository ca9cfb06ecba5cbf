/** Hosts that fail behind a virtio device: no room, limits, peers that go away. */
import assert from "node:assert/strict";
import { blockHeader } from "../block_guest.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { Script, scriptDocument } from "../script_guest.ts";
import { barOf, placeBars, PROOFS, prove, type ScriptRequest } from "../script_virtio.ts";
import { VirtioEntries } from "../virtio_entries.ts";

const DONE = 42;
const OUT = 1;
const IOERR = 1;

/** A write of a sector. */
function write(sector: number): ScriptRequest {
  return [0, [blockHeader(OUT, sector), new Uint8Array(512).fill(0x5a)], [1]];
}

/** A document whose disk gets writes, of which the last one fails; the disk and the others go on. */
function diskDocument(path: string, sectors: readonly number[]): string {
  const script = new Script();
  for (const slot of [1, 2]) placeBars(script, slot);
  let status = 0;
  for (const sector of sectors) status = prove(script, { slot: 1 }, write(sector), 1);
  script.until(status, IOERR);
  prove(script, { slot: 1 }, "disk", 2);
  prove(script, { slot: 2 }, "rng", 3);
  script.exit(DONE);
  const devices = [{ type: "serial" }, { type: "disk", path }, { type: "rng" }];
  return JSON.stringify(scriptDocument(script, devices));
}

onKvm("a limit of file sizes is an error of the disk's request, and no signal", async () => {
  await using home = new HvshHome();
  const size = 256 * 2 ** 20;
  Deno.truncateSync(home.write("image", ""), size);
  home.write("vm.json", diskDocument(`${home.folder}/image`, [1, size / 512 - 1]));
  // The guest's memory counts as a file, too.
  const { status, stderr } = await home.line("ulimit -f 100000; hvsh run --timeout 60s <vm.json");
  assert.equal(status, DONE, stderr);
});

const canMount = new Deno.Command("unshare", { args: ["-rm", "true"], stderr: "null" });

if (canMount.outputSync().success) {
  onKvm("a full filesystem is an error of the disk's request", async () => {
    await using home = new HvshHome();
    const sectors = Array.from({ length: 32 }, (_, page) => 8 * page);
    home.write("vm.json", diskDocument(`${home.folder}/small/image`, sectors));
    Deno.mkdirSync(`${home.folder}/small`);
    home.write(
      "run.sh",
      "mount -t tmpfs -o size=64k none small && truncate -s 1M small/image &&" +
        " hvsh run --timeout 60s <vm.json",
    );
    const { status, stderr } = await home.line("unshare -rm sh run.sh");
    assert.equal(status, DONE, stderr);
  });
} else {
  console.error(`Left out: a test of ${Deno.mainModule}: this user may not mount`);
}

onKvm("a limit of open files is told with 125, whichever device meets it", async () => {
  await using home = new HvshHome();
  await using entries = new VirtioEntries();
  const entry = entries.all();
  const script = new Script();
  for (const [i, { type }] of entry.entries()) {
    placeBars(script, i + 1);
    prove(script, { slot: i + 1 }, type, i + 1);
  }
  script.exit(DONE);
  home.write("vm.json", JSON.stringify(scriptDocument(script, [{ type: "serial" }, ...entry])));
  const statuses = new Set<number>();
  for (let files = 24; files <= 108; files += 4) {
    const line = `ulimit -n ${files}; hvsh run --timeout 60s <vm.json`;
    const { status, stdout, stderr } = await home.line(line);
    assert([DONE, 125].includes(status), `${files} files: ${status}, ${stderr}`);
    if (status === 125) {
      assert.match(stderr, /EMFILE|too many open files/i, `${files} files: ${stderr}`);
      assert.doesNotMatch(stderr, /^\s+at /m, `${files} files`);
    }
    assert.equal(stdout, status === DONE ? "." : "", `${files} files`);
    statuses.add(status);
    await home.empty();
  }
  assert.deepEqual([...statuses].sort(), [DONE, 125].sort());
});

onKvm("a network's peer that goes while the guest sends is no end of the VM", async () => {
  await using home = new HvshHome();
  const path = `${home.folder}/net`;
  using listener = Deno.listen({ transport: "unix", path });
  const peer = listener.accept();
  const script = new Script();
  for (const slot of [1, 2]) placeBars(script, slot);
  script.repeat(300, () => {
    prove(script, { slot: 1 }, [1, [new Uint8Array(12), new Uint8Array(1500)], []], 1);
  });
  prove(script, { slot: 1 }, PROOFS.net!, 1);
  prove(script, { slot: 2 }, "rng", 2);
  script.read(4, barOf(1));
  script.exit(DONE);
  const devices = [{ type: "serial" }, { type: "net", backend: `unix:${path}` }, { type: "rng" }];
  home.write("vm.json", JSON.stringify(scriptDocument(script, devices)));
  const run = home.line("hvsh run --timeout 60s <vm.json");
  const connection = await peer;
  await connection.read(new Uint8Array(1));
  connection.close();
  const { status, stderr } = await run;
  assert.equal(status, DONE, stderr);
});
