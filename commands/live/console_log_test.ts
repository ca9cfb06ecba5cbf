import { deepEqual, equal, match } from "node:assert/strict";
import { ConsoleLog } from "./console_log.ts";

function inFolder(work: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  try {
    work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a log has what was written, for its owner only", () => {
  inFolder((folder) => {
    const path = `${folder}/console.log`;
    const log = new ConsoleLog(path);
    log.write(bytes("one\n"));
    log.write(bytes("two\n"));
    equal(Deno.readTextFileSync(path), "one\ntwo\n");
    equal(Deno.statSync(path).mode! & 0o777, 0o600);
  });
});

Deno.test("a log is bounded, however much is written", () => {
  inFolder((folder) => {
    const log = new ConsoleLog(`${folder}/console.log`);
    const piece = new Uint8Array(2 ** 20).fill(0x61);
    for (let i = 0; i < 20; i++) log.write(piece);
    const sizes = ["console.log", "console.log.old"]
      .map((name) => Deno.statSync(`${folder}/${name}`).size);
    for (const size of sizes) equal(size <= 6 * 2 ** 20, true);
    deepEqual([...Deno.readDirSync(folder)].length, 2);
  });
});

Deno.test("a full disk loses output, and only output: the log says how much", () => {
  inFolder((folder) => {
    const path = `${folder}/console.log`;
    Deno.symlinkSync("/dev/full", path);
    const log = new ConsoleLog(path);
    for (let i = 0; i < 3; i++) log.write(bytes("lost"));
    Deno.removeSync(path);
    log.write(bytes("kept"));
    log.write(bytes(" too"));
    match(
      Deno.readTextFileSync(path),
      /^\n\[hvsh: 12 bytes are missing here: No space left on device .*\]\nkept too$/,
    );
  });
});

Deno.test("a folder that is gone loses output too", () => {
  inFolder((folder) => {
    const log = new ConsoleLog(`${folder}/gone/console.log`);
    for (let i = 0; i < 10; i++) log.write(new Uint8Array(2 ** 20));
  });
});
