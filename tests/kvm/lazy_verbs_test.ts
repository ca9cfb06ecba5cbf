/** `hvsh restore --lazy`: VMs that run before their stream has come, and what becomes of them if it does not. */
import assert from "node:assert/strict";
import { counted } from "../counting_lines.ts";
import { countsOn, end, log, start, stopped } from "../counting_vm.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

/** Bytes of a line of the guest's. */
const LINE = 9;
/** Where the record begins that the guest counts in. */
const COUNTER_RECORD = "mem/ram0/0x0000010000";

/** A guest's stream in a file, and what it has said until then. */
async function saved(home: HvshHome): Promise<{ said: string; bytes: Uint8Array<ArrayBuffer> }> {
  await start(home, "lines", "vm0");
  await countsOn(home, "lines", "vm0");
  const { status, stderr } = await home.run(["snapshot", "vm0", "--stop", "-o", "vm.tar"]);
  assert.deepEqual([status, stderr], [0, ""]);
  return { said: await stopped(home, "vm0"), bytes: Deno.readFileSync(`${home.folder}/vm.tar`) };
}

/** Where a record's header begins. */
function placeOf(bytes: Uint8Array, name: string): number {
  const wanted = new TextEncoder().encode(`${name}\0`);
  for (let at = 0; at < bytes.length; at += 512) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  assert.fail(`there is no ${name}`);
}

/** Has a VM run from the beginning of a stream, whose rest is to be written. */
async function lazily(
  home: HvshHome,
  name: string,
  begin: Uint8Array<ArrayBuffer>,
): Promise<Disposable & { write(bytes: Uint8Array<ArrayBuffer>): Promise<void> }> {
  await using restore = home.startLine(`mkfifo p && hvsh restore -d --lazy -n ${name} < p; rm p`);
  while (!isThere(`${home.folder}/p`)) await Promise.resolve();
  const file = await Deno.open(`${home.folder}/p`, { write: true });
  const writer = file.writable.getWriter();
  await writer.write(begin);
  const [handle] = records(await restore.result());
  assert.deepEqual([handle!.live, handle!.state], [name, "running"]);
  let open = true;
  return {
    write: (bytes) => writer.write(bytes),
    [Symbol.dispose]() {
      if (open) file.close();
      open = false;
    },
  };
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFifo === true;
  } catch {
    return false;
  }
}

onKvm("a VM runs before its memory has come, and who takes its state waits for that", async () => {
  await using home = new HvshHome();
  const { said, bytes } = await saved(home);
  const at = placeOf(bytes, COUNTER_RECORD);
  using stream = await lazily(home, "vm1", bytes.slice(0, at));
  // No line more than what it had begun: it waits for where it counts.
  assert.ok((await log(home, "vm1")).length <= LINE);
  await using snapshot = home.start(["snapshot", "vm1", "-o", "again.tar"]);
  await stream.write(bytes.slice(at));
  const { status, stderr } = await snapshot.result();
  assert.deepEqual([status, stderr], [0, ""]);
  await countsOn(home, "lines", "vm1", said);
  counted("lines", said + await end(home, "vm1"));
  const [again] = records(await home.run(["restore", "-d", "-n", "vm2", "--lazy", "again.tar"]));
  assert.equal(again!.state, "running");
  await end(home, "vm2");
});

onKvm("a VM whose stream breaks off ends with status 125, by the record", async () => {
  await using home = new HvshHome();
  const { bytes } = await saved(home);
  const at = placeOf(bytes, COUNTER_RECORD);
  home.write("part.tar", bytes.slice(0, at + 1000));
  {
    using stream = await lazily(home, "vm1", bytes.slice(0, at + 1000));
    await using wait = home.start(["wait", "vm1"]);
    stream[Symbol.dispose](); // as a sender that is killed does
    const { status, stdout, stderr } = await wait.result();
    assert.equal(status, 125);
    // By its owner while it ends, or by what that has left.
    assert.match(stdout + stderr, /The stream is cut off in mem\/ram0\/0x0000010000/);
  }
  const attached = await home.line(
    `hvsh restore --lazy -n vm2 < part.tar; echo $?; cat part.tar | hvsh restore --lazy; echo $?`,
  );
  assert.deepEqual(attached.stdout.match(/^\d+$/gm), ["125", "125"]);
  assert.match(attached.stderr, /^hvsh restore: The stream is cut off after /);
  assert.match(attached.stderr, /\nhvsh restore: The stream is cut off in mem\/ram0\/0x0000010000/);
});

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

onKvm("what a VM asks for first is found out, and read ahead from then on", async () => {
  await using home = new HvshHome();
  const { said } = await saved(home);
  const restore = ["restore", "-d", "--lazy", "--working-set", "web.set", "vm.tar"];
  records(await home.run([...restore, "-n", "vm1"]));
  assert.equal((await home.run(["mem", "read", "vm1", "0", "1"])).status, 0); // all is there
  while (!isFile(`${home.folder}/web.set`)) await home.run(["status", "vm1"]);
  const names = Deno.readTextFileSync(`${home.folder}/web.set`).trimEnd().split("\n");
  assert.ok(names.includes(COUNTER_RECORD) && names.includes("mem/ram0/0x0000000000"), `${names}`);
  assert.equal(new Set(names).size, names.length);
  counted("lines", said + await end(home, "vm1"));
  records(await home.run([...restore, "-n", "vm2"]));
  await countsOn(home, "lines", "vm2", said);
  counted("lines", said + await end(home, "vm2"));
  home.write("web.set", "cpu/0.json\n");
  const wrong = await home.run([...restore, "-n", "vm3"]);
  assert.equal(wrong.status, 125);
  assert.match(wrong.stderr, /web\.set: "cpu\/0\.json" is no record of memory/);
  const piped = await home.line(
    "rm web.set; cat vm.tar | hvsh restore -d --lazy --working-set web.set",
  );
  assert.match(piped.stderr, /--working-set is of a state in a file/);
});

onKvm("a VM that waits for its memory is ended all the same", async () => {
  await using home = new HvshHome();
  const { bytes } = await saved(home);
  using _stream = await lazily(home, "vm1", bytes.slice(0, placeOf(bytes, COUNTER_RECORD)));
  assert.equal(records(await home.run(["kill", "vm1"]))[0]!.state, "ended");
  assert.equal((await home.run(["wait", "vm1"])).status, 137);
});
