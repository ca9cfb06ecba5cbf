/** The sessions of the documentation, in sh, in hvsh's own shell and in TypeScript. */
import assert, { deepEqual as assertEquals } from "node:assert/strict";
import { create } from "../../mod.ts";
import { HELLO as bytes, SPIN } from "../guest_code.ts";
import { MountedTree, onFuse } from "../mounted_tree.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { endVms, runSession, type Session, SHELLS, typeSession } from "../session.ts";
import { SESSIONS } from "../sessions.ts";
import { detached } from "../vm_home.ts";

/** The VM as files. Who watches it has to be told to stop. */
const FILES: Session = {
  text: "cd ~/hv/vms/web && echo pause > ctl && cat vcpus/0/regs && tail -f events",
  atHome: true,
  async meanwhile(home, process) {
    await process.until('"kind":"paused"');
    for (const { pid, command } of home.processes()) {
      if (/^\S*tail /.test(command)) Deno.kill(pid, "SIGTERM");
    }
  },
  after({ status, stdout }) {
    assert.equal(status, 143);
    assert.match(stdout, /^rip 0x7c00$/m);
  },
};

for (const session of SESSIONS) {
  for (const shell of SHELLS) {
    onKvm(`in ${shell}: ${session.text}`, async () => {
      await using home = new HvshHome();
      await runSession(home, session, shell);
    }, session.programs);
  }
}

for (const shell of SHELLS) {
  onFuse(`in ${shell}: ${FILES.text}`, async () => {
    await using home = new HvshHome();
    Deno.mkdirSync(`${home.folder}/hv`);
    await detached(home, "web", SPIN);
    {
      await using _tree = await MountedTree.mount(home, "hv");
      await typeSession(home, FILES, shell);
    }
    await endVms(home);
  });
}

/** How often a host that is busy elsewhere may be too late. */
const ATTEMPTS = 10;

onKvm("in a test in TypeScript: a guest's line is there within half a second", async () => {
  const session = async () => {
    await using vm = await create({ memory: "64M" }).flat(bytes).start();
    assertEquals(await vm.console.until("\n", { ms: 500 }), "H\n");
  };
  for (let attempt = 1;; attempt++) {
    try {
      return await session();
    } catch (error) {
      if (attempt === ATTEMPTS || !/within 500 ms/.test((error as Error).message)) throw error;
    }
  }
});
