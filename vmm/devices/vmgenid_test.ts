import assert from "node:assert/strict";
import "../../tests/c_library.ts";
import { createDeviceContext } from "../../tests/fake_device_context.ts";
import { Acpi, Address, Port } from "../board.ts";
import { powerManagement } from "./power_management.ts";
import { vmgenid } from "./vmgenid.ts";

const MEMORY = 2 ** 20;

async function prepared(): Promise<{ id: string }> {
  await using opened = await vmgenid.prepare!({ id: "" }, { name: "vmgenid", event() {} });
  return opened.config;
}

Deno.test("each machine has an ID of its own", async () => {
  const ids = await Promise.all([prepared(), prepared(), prepared()]);
  assert.equal(new Set(ids.map(({ id }) => id)).size, 3);
  for (const { id } of ids) assert.match(id, /^[0-9a-f]{32}$/);
});

Deno.test("a machine that goes on from a saved state has its own ID in memory, one that is reset the same", async () => {
  const machine = createDeviceContext(vmgenid, { memory: MEMORY });
  const config = await prepared();
  const device = vmgenid.open(config, machine.context);
  const inMemory = () => machine.context.memory.read(Address.VM_GENERATION_ID, 16).toHex();
  device.reset();
  assert.equal(inMemory(), "0".repeat(32)); // prepareBoot's work
  machine.context.memory.write(Address.VM_GENERATION_ID, new Uint8Array(16).fill(7));
  device.restored!();
  assert.equal(inMemory(), config.id);
  device.reset();
  assert.equal(inMemory(), config.id);
});

Deno.test("one that was moved is the same", async () => {
  const machine = createDeviceContext(vmgenid, { memory: MEMORY });
  const device = vmgenid.open(await prepared(), machine.context);
  device.reset();
  machine.context.memory.write(Address.VM_GENERATION_ID, new Uint8Array(16).fill(7));
  device.restored!(true);
  assert.equal(machine.context.memory.read(Address.VM_GENERATION_ID, 16).toHex(), "07".repeat(16));
});

Deno.test("the event of a new ID comes once, when the machine runs", () => {
  const machine = createDeviceContext(powerManagement);
  const device = powerManagement.open({}, machine.context);
  device.reset();
  const gpe = device.ranges.find(({ base }) => base === Port.GPE0)!.handler;
  gpe.write(2, 2, 1 << Acpi.GENERATION_GPE);
  device.restored!();
  assert.equal(gpe.read(0, 2), 0);
  assert.equal(machine.irqLevels.get(9), false);
  machine.advance(0, device);
  assert.equal(gpe.read(0, 2), 1 << Acpi.GENERATION_GPE);
  assert.equal(machine.irqLevels.get(9), true);
  gpe.write(0, 2, 1 << Acpi.GENERATION_GPE);
  assert.equal(device.deadline!(), Infinity);
  assert.equal(machine.irqLevels.get(9), false);
});
