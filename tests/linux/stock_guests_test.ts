import assert from "node:assert/strict";
import { guestPath } from "../../scripts/setup/guests.ts";
import { listing } from "../guest_code.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const HELLO_SECTOR = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  be 17 7c              mov si, 0x7c17
  fc                    cld
  ac                    lodsb
  84 c0                 test al, al
  74 06                 jz 0x13
  b4 0e                 mov ah, 0x0e
  cd 10                 int 0x10
  eb f5                 jmp 0x8
  b0 2a                 mov al, 42
  e6 f4                 out 0xf4, al
  68 65 6c 6c 6f 2e 00  "hello.", whose end SeaBIOS keeps until more comes
`);

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
      "MB of 6", // what it tests of the memory; it draws every two seconds, by when it may have done some
    );
    assert.match(screen, /Memtest86\+ v/);
    assert.match(screen, /#\d+ +\[(Address test|Moving inversions)/);
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

onNativeKvm("SeaBIOS has the serial port as its screen, and finds its boot devices", async () => {
  const args = ["-m", "64M", "--firmware", guestPath("bios-256k.bin")];
  const screen = await runUntil(args, "No bootable device.");
  assert.match(screen, /SeaBIOS \(version /);
  assert.match(screen, /Booting from Hard Disk\.\.\./);
});

onNativeKvm("SeaBIOS starts a disk's boot sector, which prints by the BIOS", async () => {
  await using home = new HvshHome();
  const sector = new Uint8Array(2 ** 20);
  sector.set(HELLO_SECTOR);
  sector.set([0x55, 0xaa], 510);
  Deno.writeFileSync(`${home.folder}/disk.img`, sector);
  const firmware = guestPath("bios-256k.bin");
  const { status, stdout } = await home.run([
    ...["run", "-m", "64M", "--firmware", firmware, "--disk", `${home.folder}/disk.img`],
  ]);
  assert.match(stdout, /Booting from Hard Disk\.\.\.\r\nhello/);
  assert.equal(status, 42);
});

onNativeKvm("SeaBIOS logs to its debug console, where it has no screen", async () => {
  await using home = new HvshHome();
  await using process = home.start(["run"], "open");
  const firmware = { path: guestPath("bios.bin") };
  const memory = [{ type: "ram", size: "64M" }];
  await process.send(JSON.stringify({ vm: 1, memory, boot: { firmware } }));
  await process.closeInput();
  await process.until("No bootable device.");
  process.kill("SIGTERM");
  const { stdout } = await process.result();
  assert.match(stdout, /^SeaBIOS \(version /m);
  assert.match(stdout, /e820: addr 0x0+ len 0x0+4000000 \[RAM\]/);
});
