import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { REAL_TRIPLE_FAULT } from "../guest_code.ts";
import { onNativeKvm } from "../on_kvm.ts";

onNativeKvm("a triple fault in real mode is 102", async () => {
  await using machine = await Machine.create(flatDocument(REAL_TRIPLE_FAULT));
  machine.start();
  const { kind, status } = await machine.ended;
  assert.deepEqual([kind, status], ["triple-fault", 102]);
});
