import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { flatDocument } from "../flat_machine.ts";
import { HELLO, listing, NOT_EMULATED, UNDEFINED } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

async function endOf(document: VmDocument) {
  await using machine = await Machine.create(document);
  machine.start();
  return await machine.ended;
}

onKvm("a triple fault in protected and long mode is 102", async () => {
  for (const [mode, bits] of [["protected", 32], ["long", 64]] as const) {
    const { kind, status, fault } = await endOf(flatDocument(UNDEFINED, { mode }));
    assert.deepEqual([kind, status], ["triple-fault", 102]);
    assert.deepEqual([fault!.cpu, fault!.exit], [0, "KVM_EXIT_SHUTDOWN"]);
    if (fault!.registers.rip === 0xfff0n) {
      assert.match(fault!.detail, /triple fault; KVM has reset the CPU/); // as on AMD
    } else {
      assert.equal(fault!.detail, "triple fault");
      assert.deepEqual([fault!.mode, fault!.registers.rsp], [bits, 0x7c00n]);
    }
  }
});

onKvm("what KVM cannot emulate is 125, with the instruction's bytes", async () => {
  const { kind, status, fault } = await endOf(flatDocument(NOT_EMULATED, { mode: "protected" }));
  assert.deepEqual([kind, status], ["fault", 125]);
  assert.equal(fault!.exit, "KVM_EXIT_INTERNAL_ERROR");
  assert.equal(fault!.detail, "KVM_INTERNAL_ERROR_EMULATION");
  assert.equal(fault!.address, 0x7c00);
  assert.equal(fault!.instruction.toHex().slice(0, 14), NOT_EMULATED.toHex().slice(0, 14));
});

onKvm("#BP reaches the guest's own handler, also where KVM cannot emulate INT3", async () => {
  const code = listing(`
    c7 06 0c 00 0d 7c     mov word [12], 0x7c0d     ; vector 3
    c7 06 0e 00 00 00     mov word [14], 0
    cc                    int3
  `);
  const { text, kind } = await runWithText(flatDocument(Uint8Array.of(...code, ...HELLO)));
  assert.deepEqual([kind, text], ["halt", "H\n"]);
});

onKvm("a fetch from where nothing is ends the VM, and says where", async () => {
  const jump = listing(`
    b8 00 00 00 d0        mov eax, 0xd0000000
    ff e0                 jmp eax
  `);
  const { kind, status, fault } = await endOf(flatDocument(jump, { mode: "protected" }));
  assert.deepEqual([kind, status], ["fault", 125]);
  assert.equal(fault!.address, 0xd000_0000);
});

async function runWithText(document: VmDocument) {
  await using machine = await Machine.create(document);
  let text = "";
  machine.console.attach((bytes) => {
    text += new TextDecoder().decode(bytes);
  });
  machine.start();
  const { kind } = await machine.ended;
  return { text, kind };
}
