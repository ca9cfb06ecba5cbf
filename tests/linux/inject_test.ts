import assert from "node:assert/strict";
import { guestPath } from "../../scripts/setup/guests.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

onNativeKvm("Debian takes a SysRq key and an NMI; its kernel wants no machine checks", async () => {
  await using home = new HvshHome();
  records(
    await home.run([
      ...["run", "-d", "-n", "web", guestPath("vmlinuz")],
      ...["--initrd", guestPath("initramfs.cpio")],
      ...["--cmdline", "hvsh.do=shell sysrq_always_enabled"],
    ]),
  );
  // Of each line of sh the second half is what the first has brought about.
  for (
    const [inject, said] of [
      ["", "hvsh-guest: up"],
      ["hvsh inject web sysrq h && ", "sysrq: HELP"],
      ["hvsh inject web nmi && ", "NMI received for unknown reason"],
    ]
  ) {
    const line = `${inject}hvsh console web --expect '${said}' --timeout 100`;
    const { status, stderr } = await home.line(line);
    assert.deepEqual([status, stderr], [0, ""], said);
  }
  const { status, stderr } = await home.run(["inject", "web", "mce", "--bank", "4"]);
  assert.equal(status, 125);
  assert.match(stderr, /has not enabled bank 4 of machine checks/); // CONFIG_X86_MCE is not set
  await home.line("hvsh kill web && hvsh wait web");
});
