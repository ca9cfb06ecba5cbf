import assert from "node:assert/strict";
import { injectMachineCheck, injectNmi, injectVector, MACHINE_CHECK } from "../../vmm/inject.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

/** Prints a letter for each of four vectors, and otherwise spins with interrupts on. Real mode. */
const VECTORS = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  8e d0                 mov ss, ax
  bc 00 7c              mov sp, 0x7c00
  c7 06 08 00 4b 7c     mov word [8], 0x7c4b      ; vector 2
  c7 06 18 00 4f 7c     mov word [0x18], 0x7c4f   ; vector 6
  c7 06 48 00 53 7c     mov word [0x48], 0x7c53   ; vector 18
  c7 06 00 01 57 7c     mov word [0x100], 0x7c57  ; vector 0x40
  a3 0a 00              mov [0xa], ax
  a3 1a 00              mov [0x1a], ax
  a3 4a 00              mov [0x4a], ax
  a3 02 01              mov [0x102], ax
  66 b8 40 00 00 00     mov eax, 0x40             ; CR4.MCE
  0f 22 e0              mov cr4, eax
  66 b9 10 04 00 00     mov ecx, 0x410            ; IA32_MC4_CTL
  66 83 c8 ff           or eax, -1
  66 83 ca ff           or edx, -1
  0f 30                 wrmsr
  b0 52                 mov al, 'R'
  eb 11                 jmp say
  90                    nop
  b0 4e                 mov al, 'N'               ; 7c4b
  eb 0c                 jmp say
  b0 55                 mov al, 'U'               ; 7c4f
  eb 08                 jmp say
  b0 4d                 mov al, 'M'               ; 7c53
  eb 04                 jmp say
  b0 56                 mov al, 'V'               ; 7c57
  90 90                 nop; nop
  ba f8 03              say: mov dx, 0x3f8        ; 7c5b
  fb                    sti                       ; it is on when the letter is read
  ee                    out dx, al
  eb fe                 jmp $
`);

onKvm("an NMI, an exception, an interrupt and a machine check reach the guest", async () => {
  await using machine = await Machine.create(flatDocument(VECTORS, {}, { irqchip: false }));
  const transcript = new Transcript(machine);
  machine.start();
  await transcript.until("R");
  await injectVector(machine, 0, 6);
  await transcript.until("RU");
  await injectVector(machine, 0, 0x40);
  await transcript.until("RUV");
  await injectNmi(machine, 0);
  await transcript.until("RUVN");
  // A corrected error is only noted.
  await injectMachineCheck(machine, 0, { ...MACHINE_CHECK, status: 1n << 63n });
  await injectMachineCheck(machine, 0, MACHINE_CHECK);
  await transcript.until("RUVNM");
  await assert.rejects(injectNmi(machine, 1), /There is no CPU 1: there are 1/);
  await assert.rejects(injectVector(machine, 0, 256), /There is no vector 256/);
  const invalid = { ...MACHINE_CHECK, status: 0n };
  await assert.rejects(injectMachineCheck(machine, 0, invalid), /KVM_X86_SET_MCE: .*EINVAL/);
  await machine.stop();
  assert.equal(transcript.text, "RUVNM");
});

onKvm("what the guest is not ready for is refused", async () => {
  await using machine = await Machine.create(flatDocument(SPIN, {}, { irqchip: false }));
  machine.start();
  await assert.rejects(
    injectMachineCheck(machine, 0, MACHINE_CHECK),
    /The guest has not enabled bank 4 of machine checks/,
  );
  await assert.rejects(injectVector(machine, 0, 0x40), /CPU 0 has interrupts disabled/);
  await machine.stop();
});

onKvm("an interrupt by message needs a local APIC that is enabled", async () => {
  await using machine = await Machine.create(flatDocument(SPIN, {}, { irqchip: true }));
  machine.start();
  await assert.rejects(injectVector(machine, 0, 0x40), /The local APIC of CPU 0 is not enabled/);
  await machine.stop();
});
