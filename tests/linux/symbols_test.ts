/** What is seen from outside of a running Debian kernel: its symbols, its modules', its address space. */
import assert from "node:assert/strict";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Says where the kernel itself has a function, its banner, and a function of a module. */
const SCRIPT = `
modprobe -a virtio_pci virtio-rng
say schedule $(grep -m1 " schedule$" /proc/kallsyms)
say banner $(grep -m1 " linux_banner$" /proc/kallsyms)
say module $(grep -m1 " virtqueue_add_sgs" /proc/kallsyms)
pause ready
`;

/** Where a core has a linear address: the offset in its file. */
function offsetIn(core: Uint8Array, linear: bigint): number {
  const view = new DataView(core.buffer);
  for (let i = 0; i < view.getUint16(56, true); i++) {
    const at = 64 + i * 56;
    const start = view.getBigUint64(at + 16, true);
    const size = view.getBigUint64(at + 40, true);
    if (view.getUint32(at, true) === 1 && linear >= start && linear < start + size) {
      return Number(view.getBigUint64(at + 8, true) + linear - start);
    }
  }
  throw new Error(`The core has no 0x${linear.toString(16)}`);
}

const WAYS = [
  ["a kernel that hvsh unpacked", []],
  ["a kernel that moved itself at random", ["--unpack", "no"]],
] as const;

for (const [which, flags] of WAYS) {
  onNativeKvm(`symbols, modules and memory of ${which} are found from outside`, async () => {
    await using home = new HvshHome();
    await using guest = LinuxGuest.start(home, ["-n", "web", ...flags], SCRIPT);
    await guest.said("ready");
    const placeOf = async (name: string) => `0x${(await guest.said(name)).split(" ")[0]}`;
    const hvsh = async (...words: string[]) => {
      const { status, stdout, stderr } = await home.run(words);
      assert.deepEqual([status, stderr], [0, ""]);
      return stdout;
    };
    const disasm = async (name: string) => JSON.parse(await hvsh("disasm", "web", name, "-n", "1"));

    const schedule = await disasm("schedule");
    assert.deepEqual([schedule.address, schedule.symbol], [await placeOf("schedule"), "schedule"]);
    const module = await disasm("virtqueue_add_sgs");
    assert.deepEqual([module.address, module.symbol], [
      await placeOf("module"),
      "virtqueue_add_sgs [virtio_ring]",
    ]);
    const offered = (await hvsh("completions", "values", "symbol", "web")).split("\n");
    assert.ok(offered.includes("schedule") && offered.includes("virtqueue_add_sgs"));
    assert.match(await hvsh("mem", "read", "web", "linux_banner", "20", "-v"), /^Linux version 6/);
    const banner = await placeOf("banner");
    const map = (await hvsh("mem", "map", "web", "--virtual")).trim().split("\n")
      .map((line) => JSON.parse(line) as { address: string; size: number; rights: string });
    const held = map.find(({ address, size }) =>
      BigInt(address) <= BigInt(banner) && BigInt(banner) < BigInt(address) + BigInt(size)
    );
    assert.match(held!.rights, /^r-/);

    const part = async (filter: string) => {
      const { status, stdout, stderr } = await home.line(`hvsh core web | ${filter}`);
      assert.deepEqual([status, stderr], [0, ""]);
      return Uint8Array.from(stdout, (c) => c.charCodeAt(0));
    };
    await hvsh("pause", "web"); // where a core has something depends on how much is mapped
    const offset = offsetIn(await part("head -c 1048576"), BigInt(banner));
    const text = await part(`tail -c +${offset + 1} | head -c 13`);
    assert.equal(new TextDecoder().decode(text), "Linux version");
    await hvsh("resume", "web");

    await guest.go();
    await guest.end();
  });
}
