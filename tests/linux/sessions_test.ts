/** The sessions of the documentation that want a Linux guest, in sh and in hvsh's own shell. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { call } from "../../commands/live/json_rpc.ts";
import { guestPath } from "../../scripts/setup/guests.ts";
import { kernelVersion } from "../../vmm/boot/guest_init/kernel_version.ts";
import { readImage } from "../../vmm/boot/read_image.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { endVms, runSession, type Session, SHELLS, typeSession } from "../session.ts";
import { records } from "../vm_home.ts";

const LOOK_MILLISECONDS = 50;

/** A kernel that has started already meets the breakpoint when it starts anew. */
const BREAK: Session = {
  text: "hvsh break web start_kernel && hvsh wait web --stop | hvsh regs",
  async meanwhile(home) {
    const control = `${home.runtime}/hvsh/web/control`;
    while ((await call(control, "debug.list") as unknown[]).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
    await call(control, "control.reset");
  },
  async after(result, home) {
    const [breakpoint, registers, ...more] = records(result);
    assert.deepEqual([breakpoint!.symbol, more.length], ["start_kernel", 0]);
    assert.equal(registers!.rip, breakpoint!.address);
    const control = `${home.runtime}/hvsh/web/control`;
    await call(control, "debug.delete", { breakpoint: breakpoint!.breakpoint });
    await call(control, "control.resume");
  },
};

/** Debian's kernel, where a session has one of its own, and its modules beside it. */
async function provideKernel(home: HvshHome, ...paths: string[]): Promise<string> {
  const version = kernelVersion(await readImage(guestPath("vmlinuz")))!;
  for (const path of paths) {
    const kernel = `${home.folder}/${path}`;
    const modules = `${dirname(kernel)}/lib/modules`;
    Deno.mkdirSync(modules, { recursive: true });
    Deno.symlinkSync(guestPath("vmlinuz"), kernel);
    if (!existsSync(`${modules}/${version}`)) {
      Deno.symlinkSync(guestPath("modules"), `${modules}/${version}`);
    }
  }
  return version;
}

/** A history whose second commit of three breaks what `t.sh` tests. */
const HISTORY = `
git init -q
printf '#!/bin/sh\ngrep works feature\n' > t.sh
chmod +x t.sh
for state in works broken 'broken still'; do
  echo "$state" > feature
  git add t.sh feature
  git -c user.name=test -c user.email=test@localhost commit -q -m "It is $state"
done
git bisect start HEAD HEAD~2
`;

/** Commands in guests are programs in pipes. */
const COMMANDS: readonly Session[] = [
  {
    text: "hvsh run bzImage --share . -- uname -r | cowsay",
    before: async (home) => void home.write("version", await provideKernel(home, "bzImage")),
    after(result, home) {
      const stdout = `${Deno.readTextFileSync(`${home.folder}/version`)}\n`;
      assert.deepEqual(result, { status: 0, stdout, stderr: "" });
    },
  },
  {
    text: "seq 9 | hvsh run k5 --share / -- cat | hvsh run k6 --share / -- tac",
    before: async (home) => void await provideKernel(home, "k5", "k6"),
    after: (result) =>
      assert.deepEqual(result, { status: 0, stdout: "9\n8\n7\n6\n5\n4\n3\n2\n1\n", stderr: "" }),
  },
  {
    text: "git bisect run sh -c 'make -sj8 bzImage || exit 125; " +
      "hvsh run --timeout 60 arch/x86/boot/bzImage -- ./t.sh'",
    instead: [["make -sj8 bzImage", "true"], ["--timeout 60", "--timeout 600"]],
    programs: ["git"],
    async before(home) {
      await provideKernel(home, "arch/x86/boot/bzImage");
      const { status, stderr } = await home.line(HISTORY);
      assert.equal(status, 0, stderr);
    },
    after({ status, stdout, stderr }) {
      assert.equal(status, 0, stderr);
      assert.match(stdout, /is the first bad commit\n[^]*It is broken\n/);
    },
  },
];

for (const session of COMMANDS) {
  onNativeKvm(`in ${SHELLS.join(" and ")}: ${session.text}`, async () => {
    // At once: a guest that boots keeps one CPU busy.
    await Promise.all(SHELLS.map(async (shell) => {
      await using home = new HvshHome();
      await runSession(home, session, shell);
    }));
  }, session.programs);
}

onNativeKvm(`in ${SHELLS.join(" and ")}: ${BREAK.text}`, async () => {
  await using home = new HvshHome();
  const boot = [guestPath("vmlinuz"), "--initrd", guestPath("initramfs.cpio")];
  records(
    await home.run(["run", "-d", "-n", "web", ...boot, "--cmdline", "quiet hvsh.do=shell"]),
  );
  try {
    for (const shell of SHELLS) await typeSession(home, BREAK, shell);
  } finally {
    await endVms(home);
  }
});
