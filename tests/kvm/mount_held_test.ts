/** Files of a mounted VM that another client holds. */
import assert from "node:assert/strict";
import { RpcConnection } from "../../commands/live/rpc_connection.ts";
import { SPIN } from "../guest_code.ts";
import { ended } from "../inspected_vm.ts";
import { MountedTree, onFuse } from "../mounted_tree.ts";
import { HvshHome, type HvshProcess } from "../run_hvsh.ts";
import { detached } from "../vm_home.ts";

const LOOK_MILLISECONDS = 10;

/** Waits until a process waits in the kernel, as one does whose read is not answered. */
async function waits(process: HvshProcess): Promise<void> {
  const state = () => /\) (\w)/.exec(Deno.readTextFileSync(`/proc/${process.pid}/stat`))![1]!;
  const called = () => Deno.readTextFileSync(`/proc/${process.pid}/comm`).trim() !== "sh";
  while (!called() || !"SD".includes(state())) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

onFuse("who waits for a VM that another holds can be ended, and the VM goes on", async () => {
  await using home = new HvshHome();
  await detached(home, "web", SPIN);
  {
    await using tree = await MountedTree.mount(home);
    const files = ["vcpus/0/cpuid", "vcpus/0/vmem", "vcpus/0/regs", "devices/serial0/state"];
    // The VM's folders are looked at before: only the files themselves are to wait.
    for (const file of files) await Deno.stat(`${tree.path}/vms/web/${file}`);
    const control = `${home.runtime}/hvsh/web/control`;
    {
      using holder = await RpcConnection.open(control);
      await holder.call("state.hold");
      for (const file of files) {
        await using cat = home.startLine(`exec cat tree/vms/web/${file}`);
        await waits(cat);
        cat.kill("SIGKILL");
        const { status, stdout } = await cat.result();
        assert.deepEqual([status, stdout], [137, ""], file);
      }
    }
    for (const file of files) {
      const read = await home.line(`head -c 1 tree/vms/web/${file}`);
      assert.deepEqual([read.status, read.stdout.length, read.stderr], [0, 1, ""], file);
    }
    assert.match(await tree.read("vms/web/status"), /^state running$/m);
  }
  await ended(home, "web");
});
