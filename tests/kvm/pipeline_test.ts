import assert from "node:assert/strict";
import { findProgram } from "../../scripts/setup/find_program.ts";
import { ECHO, exitWith, FLOOD, HELLO, listing, NOT_EMULATED, UNDEFINED } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const PRINTF = String.raw`printf '\xba\xf8\x03\xb0H\xee\xb0\n\xee\xf4'`;
const silent = (stdout: string, status = 0) => ({ status, stdout, stderr: "" });

onKvm("ten bytes through a pipe print H", async () => {
  await using home = new HvshHome();
  const octal = PRINTF.replaceAll(/\\x(..)/g, (_, hex) => `\\${parseInt(hex, 16).toString(8)}`);
  // dash's printf knows octal only; the bytes are those of the README's line.
  const line = `${octal} | hvsh run --flat -`;
  assert.deepEqual(await home.line(line), silent("H\n"));
});

onKvm("a VM is built by a pipeline of filters, through jq too", async () => {
  await using home = new HvshHome();
  home.write("x.bin", HELLO);
  const jq = findProgram("jq") === undefined ? "cat" : "jq -c .";
  const line = `hvsh create -m 64M | hvsh flat x.bin@0x1000 | ${jq} | hvsh run`;
  assert.deepEqual(await home.line(line), silent("H\n"));
});

onKvm("each stage alone prints one line of JSON; without input it fails and says why", async () => {
  await using home = new HvshHome();
  home.write("x.bin", HELLO);
  const created = await home.run(["create"]);
  assert.equal(created.stdout.indexOf("\n"), created.stdout.length - 1);
  const flat = await home.run(["flat", "x.bin"], created.stdout);
  assert.equal(flat.stdout.indexOf("\n"), flat.stdout.length - 1);
  assert.equal(JSON.parse(flat.stdout).boot.flat.images[0].path, `${home.folder}/x.bin`);
  for (const args of [["flat", "x.bin"], ["run"]]) {
    const { status, stdout, stderr } = await home.run(args);
    assert.deepEqual([status, stdout], [125, ""]);
    assert.match(stderr, /No VM on stdin; did the stage before fail\?/);
  }
  const usage = await home.run(["run", "--no-such-flag"]);
  assert.deepEqual([usage.status, usage.stdout], [2, ""]);
  assert.match(usage.stderr, /There is no flag --no-such-flag/);
});

onKvm("a filter in a flood ends silently when its reader goes", async () => {
  await using home = new HvshHome();
  const line = `yes '{"vm":1}' | (hvsh cmdline quiet; echo $? >status) | head -1`;
  assert.deepEqual(await home.line(line), silent('{"vm":1,"boot":{"cmdline":"quiet"}}\n'));
  assert.equal(Deno.readTextFileSync(`${home.folder}/status`), "141\n");
});

onKvm("a guest that floods ends silently when its reader goes, and leaves nothing", async () => {
  await using home = new HvshHome();
  home.write("flood.bin", FLOOD);
  const line = `(hvsh run -n flood --flat flood.bin; echo $? >status) | head -c 4 | wc -c`;
  const { stdout, ...rest } = await home.line(line);
  assert.deepEqual({ stdout: stdout.trim(), ...rest }, silent("4"));
  assert.equal(Deno.readTextFileSync(`${home.folder}/status`), "141\n");
});

onKvm("the exit status is the guest's own, or tells what became of it", async () => {
  await using home = new HvshHome();
  const run = (name: string, code: Uint8Array, ...flags: string[]) =>
    home.run(["run", ...flags, "--flat", home.write(name, code)]);
  assert.deepEqual(await run("exit", exitWith(42)), silent("", 42));

  const triple = await run("triple", UNDEFINED, "--mode", "long");
  assert.deepEqual([triple.status, triple.stdout], [102, ""]);
  assert.match(triple.stderr, /^hvsh run: vCPU 0: KVM_EXIT_SHUTDOWN: triple fault/);

  const fault = await run("fault", NOT_EMULATED, "--mode", "protected");
  assert.deepEqual([fault.status, fault.stdout], [125, ""]);
  assert.match(fault.stderr, /KVM_INTERNAL_ERROR_EMULATION at 0x7c00/);
  assert.match(fault.stderr, /0f fe 05 00 00 00 d0 .*paddd mm0,\[0D0000000h\]/);
  assert.match(fault.stderr, /rip {4}0000000000007c00/);
});

onKvm("--timeout ends a guest with 124 and shows its last lines", async () => {
  await using home = new HvshHome();
  const code = listing(`
    ba f8 03              mov dx, 0x3f8
    b0 31                 mov al, '1'
    ee                    out dx, al
    b0 0a                 mov al, '\\n'
    ee                    out dx, al
    b0 32                 mov al, '2'
    ee                    out dx, al
    eb fe                 jmp $
  `);
  const path = home.write("spin.bin", code);
  // The time is the VM's from its start on, that of its thread included.
  const { status, stdout, stderr } = await home.run(["run", "--timeout", "2500ms", "--flat", path]);
  assert.deepEqual([status, stdout], [124, "1\n2"]);
  assert.match(stderr, /timeout after 2\.5 s/);
  assert.match(stderr, /\| 1\n.*\| 2\n/);
});

onKvm("what is typed, or comes through a pipe, reaches the serial port", async () => {
  await using home = new HvshHome();
  const path = home.write("echo.bin", ECHO);
  assert.deepEqual(await home.run(["run", "--flat", path], "abc\n"), silent("abc\n", 7));
  // Many times what the port's FIFO holds; nothing is lost.
  const long = "0123456789".repeat(50) + "\n";
  assert.deepEqual(await home.run(["run", "--flat", path], long), silent(long, 7));
  // A conversation, and an end of input that is not the guest's end.
  await using process = home.start(["run", "--flat", path], "open");
  await process.send("ping");
  await process.until("ping");
  await process.send("pong\n");
  await process.closeInput();
  assert.deepEqual(await process.result(), silent("pingpong\n", 7));
});
