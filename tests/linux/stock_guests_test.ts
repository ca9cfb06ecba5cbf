import assert from "node:assert/strict";
import { guestPath } from "../../scripts/setup/guests.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Runs a guest that ends only when it is told to, up to some text on its console. */
async function runUntil(args: string[], text: string): Promise<string> {
  await using home = new HvshHome();
  await using process = home.start(["run", ...args]);
  await process.until(text);
  process.kill("SIGTERM");
  const { status, stdout, stderr } = await process.result();
  assert.deepEqual([status, stderr], [143, ""]);
  return stdout;
}

onNativeKvm(
  "memtest86+ starts, reads the board's tables and tests the memory it was given",
  async () => {
    const screen = await runUntil(
      ["-m", "64M", guestPath("memtest86+x64.bin"), "--cmdline", "console=ttyS0,115200"],
      "[Address test",
    );
    assert.match(screen, /Memtest86\+ v/);
    assert.match(screen, /Memory {2}: +6[34]\S*MB/);
  },
);

onNativeKvm("iPXE's .lkrn starts by its real-mode code and says what it can do", async () => {
  const text = await runUntil([guestPath("ipxe.lkrn")], "Features: ");
  assert.match(text, /iPXE initialising devices\.\.\.ok/);
  assert.match(text, /iPXE 1\.\S+ -- Open Source Network Boot Firmware/);
});

onNativeKvm("GNU Mach starts as a multiboot kernel and finds its memory", async () => {
  const text = await runUntil(
    ["-m", "128M", "--multiboot", guestPath("gnumach"), "--cmdline", "console=com0"],
    "bootstrap_create",
  );
  assert.match(text, /^biosmem: 0*100000:0*8000000, available/m);
});

onNativeKvm(
  "SeaBIOS finds its way to the boot devices and logs it on the debug console",
  async () => {
    const log = await runUntil(
      ["-m", "64M", "--firmware", guestPath("bios.bin")],
      "No bootable device.",
    );
    assert.match(log, /^SeaBIOS \(version /m);
    assert.match(log, /e820: addr 0x0+ len 0x0+4000000 \[RAM\]/);
  },
);
