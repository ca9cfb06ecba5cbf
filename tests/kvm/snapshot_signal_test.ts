/** Snapshots to files whose process is ended in the middle. */
import assert from "node:assert/strict";
import { NamelessFile } from "../../ffi/nameless_file.ts";
import { SPIN } from "../guest_code.ts";
import { ended } from "../inspected_vm.ts";
import { filesBelow } from "../leaks.ts";
import { onKvmWith } from "../on_kvm.ts";
import { HvshHome, type HvshProcess } from "../run_hvsh.ts";
import { detached } from "../vm_home.ts";

/** Enough to be seen while it is written. */
const FILLED = "192M";
const LOOK_MILLISECONDS = 1;

/** What the file system of a test's folder lacks. */
function lack(): string | undefined {
  const folder = Deno.makeTempDirSync();
  try {
    using _ = new NamelessFile(`${folder}/file`);
    const there = [...Deno.readDirSync(folder)].length > 0;
    return there ? "the file system of temporary files has none without a name" : undefined;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Waits until a process writes to a file below a folder, named or not. */
async function writes({ pid }: HvshProcess, folder: string): Promise<void> {
  for (;;) {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
      try {
        const link = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
        const below = link.startsWith(`${folder}/`) && !link.startsWith(`${folder}/runtime`);
        if (below && Deno.statSync(`/proc/${pid}/fd/${name}`).size > 2 ** 20) return;
      } catch {
        // It was closed just now.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

onKvmWith("nothing is left of a snapshot that a signal ends, and the VM goes on", async () => {
  await using home = new HvshHome();
  await detached(home, "web", SPIN, "-m", "256M");
  const filled = await home.line(`yes | head -c ${FILLED} | hvsh mem write web 0x400000`);
  assert.equal(filled.status, 0);
  const cases = [
    [["snapshot", "web", "-o", "web.tar"], "SIGINT", 130],
    [["snapshot", "web", "-o", "web/"], "SIGTERM", 143],
    [["-c", "snapshot web -o web.tar"], "SIGKILL", 137],
  ] as const;
  for (const [args, signal, status] of cases) {
    await using snapshot = home.start(args);
    await writes(snapshot, home.folder);
    snapshot.kill(signal);
    assert.equal((await snapshot.result()).status, status);
    const left = filesBelow(home.folder).filter((name) => !name.startsWith("runtime"));
    assert.deepEqual(left, ["web.bin"]);
  }
  assert.equal((await home.run(["snapshot", "web", "-o", "web/"])).status, 0);
  await ended(home, "web");
}, lack());
