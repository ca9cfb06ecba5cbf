import assert from "node:assert/strict";
import type { VmDocument } from "../../vmm/document.ts";
import type { VmEnd } from "../../vmm/end.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { HELLO, listing } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const CLI_HLT = listing(`
  fa                    cli
  f4                    hlt                   ; again:
  eb fd                 jmp again
`);

/** Runs a guest to its end. */
async function run(document: VmDocument): Promise<VmEnd & { text: string }> {
  await using machine = await Machine.create(document);
  const transcript = new Transcript(machine);
  machine.start();
  return { ...await machine.ended, text: transcript.text };
}

/** Runs a guest, then looks that this process still runs others and has lost nothing. */
async function survive(document: VmDocument): Promise<VmEnd & { text: string }> {
  const before = openVmFiles();
  const end = await run(document);
  const next = await run(flatDocument(HELLO));
  assert.deepEqual([next.kind, next.text], ["halt", "H\n"]);
  assert.deepEqual(openVmFiles(), before);
  return end;
}

onKvm("HLT with interrupts off is the end without interrupt controllers", async () => {
  const { kind, status } = await survive(flatDocument(CLI_HLT));
  assert.deepEqual([kind, status], ["halt", 0]);
});

onKvm("HLT with interrupts off waits for ever with them, until it is told to end", async () => {
  for (const cpus of [1, 2]) {
    await using machine = await Machine.create(flatDocument(CLI_HLT, {}, { irqchip: true, cpus }));
    machine.start();
    await machine.pause();
    machine.resume();
    assert.equal((await machine.stop()).kind, "killed");
  }
  await using home = new HvshHome();
  const path = home.write("halted.bin", CLI_HLT);
  const args = ["run", "--cpus", "2", "--timeout", "200ms", "--flat", path];
  assert.equal((await home.run(args)).status, 124);
  await using attached = home.start([
    "run",
    "--paused",
    "-n",
    "halted",
    "--cpus",
    "2",
    "--flat",
    path,
  ]);
  while ((await home.run(["resume", "halted"])).status !== 0);
  assert.equal((await home.run(["kill", "halted"])).status, 0);
  assert.equal((await attached.result()).status, 137);
});

onKvm(
  "a fetch that runs over the end of memory, or through paging into nothing, ends the VM",
  async () => {
    // The last byte of RAM is the first one of `mov al, imm8`.
    const edge = [{ code: listing(`b0  mov al, …`), base: 0xf_ffff }];
    const { kind, status } = await survive(flatDocument(edge, { mode: "protected" }));
    assert.ok(["fault", "triple-fault"].includes(kind), kind);
    assert.ok(status === 125 || status === 102, `${status}`);

    const badTables = listing(`
    b8 00 00 00 d0        mov eax, 0xd0000000
    0f 22 d8              mov cr3, rax          ; page tables where nothing is
    eb fe                 jmp $
  `);
    const unmapped = listing(`
    48 b8 00 00 00 00 00 01 00 00  mov rax, 1 << 40
    ff e0                          jmp rax
  `);
    for (const code of [badTables, unmapped]) {
      const { kind } = await survive(flatDocument(code, { mode: "long" }));
      assert.ok(["fault", "triple-fault"].includes(kind), kind);
    }
  },
);

onKvm("rep insb of 4096 bytes from a port that nobody answers fills memory with ones", async () => {
  const code = listing(`
    bf 00 20              mov di, 0x2000
    b9 00 10              mov cx, 4096
    ba 80 00              mov dx, 0x80
    fc                    cld
    f3 6c                 rep insb
    be ff 2f              mov si, 0x2fff        ; say the last one, and what is behind it
    b9 02 00              mov cx, 2
    ba e9 00              mov dx, 0xe9
    f3 6e                 rep outsb
    f4                    hlt
  `);
  const { kind, text } = await survive(flatDocument(code));
  assert.deepEqual([kind, text], ["halt", "\xff\0"]);
});

onKvm("rep insb, insw and insd from devices read them so often, and no more", async () => {
  const hex = (value: number) => Uint8Array.of(value & 0xff, value >> 8).toHex();
  /** Reads 4096 bytes to 0x2000. */
  const burst = (port: number, ins: string, width: number) =>
    `bf0020b9${hex(4096 / width)}ba${hex(port)}f3${ins}` + // rep insX
    `81ff0030` + // cmp di, 0x3000
    `0f94c020c3`; // sete al; and bl, al
  const ports = [0x60, 0x64, 0x71, 0x3f8, 0x3fd, 0x505, 0x608];
  const bursts = ports.flatMap((port) =>
    [["6c", 1] as const, ["6d", 2] as const, ["666d", 4] as const].map(([ins, width]) =>
      burst(port, ins, width)
    )
  );
  // cld; mov bl, 1; … mov al, bl; out 0xf4, al
  const code = Uint8Array.fromHex(`fcb301${bursts.join("")}88d8e6f4`);
  const { kind, status } = await survive(flatDocument(code));
  assert.deepEqual([kind, status], ["exit", 1]);
});

onKvm("rep outsb of 4096 bytes reaches a console whole, and harms no other device", async () => {
  const code = listing(`
    fc                    cld
    ba 80 00              mov dx, 0x80          ; a port that nobody answers
    e8 1c 00              call burst
    ba f8 03              mov dx, 0x3f8
    e8 16 00              call burst
    ba 64 00              mov dx, 0x64
    b0 aa                 mov al, 0xaa          ; the keyboard controller tests itself
    ee                    out dx, al
    ba 60 00              mov dx, 0x60
    ec                    in al, dx
    e6 f4                 out 0xf4, al
    f4                    hlt
    90 90 90 90 90 90 90 90 90 90  nop
    be 00 00              mov si, 0             ; burst:
    b9 00 10              mov cx, 4096
    f3 6e                 rep outsb
    c3                    ret
  `);
  const start = code.length - 9;
  // The calls' distances, from the instruction behind each.
  code[5] = start - 7;
  code[11] = start - 13;
  const { kind, status, text } = await survive(flatDocument(code));
  assert.deepEqual([kind, status, text.length], ["exit", 0x55, 4096]);
});

onKvm("string I/O to and from addresses where nothing is goes nowhere", async () => {
  const code = listing(`
    fc                    cld
    bf 00 00 00 d0        mov edi, 0xd0000000
    b9 00 10 00 00        mov ecx, 4096
    66 ba 64 00           mov dx, 0x64
    f3 6c                 rep insb
    be 00 00 00 d0        mov esi, 0xd0000000
    b9 02 00 00 00        mov ecx, 2
    66 ba e9 00           mov dx, 0xe9
    f3 6e                 rep outsb
    b0 07                 mov al, 7
    e6 f4                 out 0xf4, al
    f4                    hlt
  `);
  const { kind, status, text } = await survive(flatDocument(code, { mode: "protected" }));
  // Hardware may give up on what its emulator does not do, but not without a word.
  if (kind === "exit") assert.deepEqual([status, text], [7, "\xff\xff"]);
  else assert.deepEqual([kind, status], ["fault", 125]);
});

onKvm("every port from 0 to 0xfff can be read at widths 1, 2 and 4", async () => {
  const readUpTo = (end: string) =>
    listing(`
    31 d2                 xor dx, dx
    ec                    in al, dx             ; again:
    ed                    in ax, dx
    66 ed                 in eax, dx
    42                    inc dx
    81 fa ${end}          cmp dx, end
    75 f5                 jne again
    b0 03                 mov al, 3
    e6 f4                 out 0xf4, al
    f4                    hlt
  `);
  // The interrupt controllers' ports and the timer's, which KVM has itself, are below 0x100.
  for (const [end, irqchip] of [["00 10", false], ["00 01", true]] as const) {
    const { kind, status } = await survive(flatDocument(readUpTo(end), {}, { irqchip }));
    assert.deepEqual([kind, status], ["exit", 3]);
  }
});

onKvm("interrupt controllers take accesses of any width and alignment", async () => {
  const poke = (base: string) => `
    bb ${base}            mov ebx, base
    8a 03                 mov al, [rbx]
    66 8b 43 01           mov ax, [rbx + 1]
    8b 43 02              mov eax, [rbx + 2]
    48 8b 43 07           mov rax, [rbx + 7]
    48 8b 83 fc 0f 00 00  mov rax, [rbx + 0xffc]
    88 43 03              mov [rbx + 3], al
    66 89 43 11           mov [rbx + 0x11], ax
    48 89 43 09           mov [rbx + 9], rax
    48 89 83 fc 0f 00 00  mov [rbx + 0xffc], rax
  `;
  const code = listing(`
    ${poke("00 00 c0 fe")}
    ${poke("00 00 e0 fe")}
    b0 09                 mov al, 9
    e6 f4                 out 0xf4, al
    f4                    hlt
  `);
  for (const irqchip of [false, true]) {
    const { kind, status } = await survive(flatDocument(code, { mode: "long" }, { irqchip }));
    assert.deepEqual([kind, status], ["exit", 9], `irqchip ${irqchip}`);
  }
});

onKvm("what is written to a ROM, or to where nothing is, changes nothing", async () => {
  await using home = new HvshHome();
  const rom = Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff);
  const path = home.write("rom.bin", rom);
  const code = listing(`
    bb 00 00 10 00        mov ebx, 0x100000     ; the ROM
    b8 11 22 33 44        mov eax, 0x44332211
    89 03                 mov [rbx], eax
    48 89 83 fc 0f 00 00  mov [rbx + 0xffc], rax  ; over its end
    bb 00 00 00 d0        mov ebx, 0xd0000000   ; nothing
    48 89 43 05           mov [rbx + 5], rax
    8b 43 05              mov eax, [rbx + 5]
    e6 e9                 out 0xe9, al          ; 0xff
    8a 04 25 05 00 10 00  mov al, [0x100005]
    e6 f4                 out 0xf4, al
    f4                    hlt
  `);
  const memory = [{ type: "ram", size: 2 ** 20 }, { type: "rom", base: 2 ** 20, path }];
  const end = await survive(flatDocument(code, { mode: "long" }, { memory }));
  assert.deepEqual([end.kind, end.status, end.text], ["exit", 5, "\xff"]);
  assert.deepEqual(Deno.readFileSync(path), rom);
});
