import assert from "node:assert/strict";
import type { BreakpointRequest } from "../../vmm/debug/breakpoint_table.ts";
import { parseCondition } from "../../vmm/debug/condition.ts";
import { type DebugAbilities, debugAbilities } from "../../vmm/debug/debug_probe.ts";
import { isRegister } from "../../vmm/debug/debug_scope.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { COUNT, HELLO, listing, SPIN } from "../guest_code.ts";
import { kvm, onKvm } from "../on_kvm.ts";

/** What this host's KVM tells of; without KVM nothing asks. */
const ABLE: DebugAbilities = kvm.missing === undefined
  ? debugAbilities()
  : { int3: false, executes: false, writes: false };
/** The ways of setting a breakpoint that stop the guest here. */
const WAYS = (["hardware", "software"] as const).filter((how) =>
  how === "software" || ABLE.executes
);

/** Counts in the 32-bit word at 0x8000, in long mode from 0x7c02 on. */
const LONG_COUNT = listing(`
  31 c0                 xor eax, eax
  ff c0                 inc eax               ; 7c02, again:
  89 04 25 00 80 00 00  mov [0x8000], eax     ; 7c04
  90                    nop                   ; 7c0b
  eb f4                 jmp again             ; 7c0c
`);
const AGAIN = 0x7c02n;
const STORE = 0x7c04n;
const STORED = 0x7c0bn;
const INSTRUCTIONS = [0x7c00n, AGAIN, STORE, STORED, 0x7c0cn];

async function paused(code: Uint8Array<ArrayBuffer>, flat: { mode?: string } = {}) {
  const machine = await Machine.create(flatDocument(code, flat));
  machine.start({ paused: true });
  return { machine, debug: await machine.debugger() };
}

/** Lets it go on until it stands. */
async function untilStop(machine: Machine) {
  machine.resume();
  await machine.standing();
  return machine.pausedBy;
}

/** A turn of the event loop: a guest that is looked at all the time never runs. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

const counter = (machine: Machine) => machine.inspect(({ memory }) => memory.readU32(0x8000));

onKvm("a step is one instruction, also over an access that a device answers", async () => {
  const { machine, debug } = await paused(HELLO);
  await using _machine = machine;
  const places: (bigint | undefined)[] = [];
  for (let i = 0; i < 6; i++) places.push((await debug.step(0))?.pc);
  assert.deepEqual(places, [0x7c03n, 0x7c05n, 0x7c06n, 0x7c08n, 0x7c09n, undefined]);
  assert.equal((await machine.ended).kind, "halt"); // the last step was hlt
});

onKvm("a machine that runs is not stepped, and there is no vCPU beyond the last", async () => {
  const { machine, debug } = await paused(SPIN);
  await using _machine = machine;
  await assert.rejects(debug.step(1), /The VM has no vCPU 1/);
  machine.resume();
  await assert.rejects(debug.step(0), /Cannot step a VM that is running/);
});

for (const how of WAYS) {
  onKvm(`a breakpoint in ${how} stops each time, and resume passes it`, async () => {
    const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
    await using _machine = machine;
    const set = await debug.add({ kind: "execute", address: STORE, how });
    for (let round = 1; round <= 3; round++) {
      const stop = await untilStop(machine);
      assert.deepEqual([stop?.reason, stop?.pc, stop?.breakpoint, set.hits], [
        ...["breakpoint", STORE, set, round],
      ]);
      assert.equal(machine.state, "paused");
      assert.equal(await counter(machine), round - 1);
      const code = await machine.inspect(({ memory }) => memory.read(0x7c00, LONG_COUNT.length));
      assert.deepEqual(code, LONG_COUNT);
    }
    assert.equal((await debug.step(0))?.pc, STORED); // a step passes it too
    assert.equal(await debug.remove(() => true), 1);
    const before = await counter(machine);
    machine.resume();
    while (await counter(machine) === before) await turn();
    assert.equal(machine.state, "running");
  });

  onKvm(`a breakpoint in ${how} can be set while the guest runs, in real mode`, async () => {
    await using machine = await Machine.create(flatDocument(COUNT));
    machine.start();
    const debug = await machine.debugger();
    await debug.add({ kind: "execute", address: 0x7c05n, how });
    await machine.standing();
    assert.equal(machine.pausedBy?.pc, 0x7c05n);
  });

  onKvm(`with a condition a breakpoint in ${how} stops only where it holds`, async () => {
    const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
    await using _machine = machine;
    const condition = parseCondition("rax == 20 && u32[0x8000] == 19", isRegister);
    const set = await debug.add({ kind: "execute", address: STORE, how, condition });
    const stop = await untilStop(machine);
    assert.deepEqual([stop?.pc, set.hits, await counter(machine)], [STORE, 1, 19]);
  });
}

onKvm("a condition that looks at memory which is not there stops, and says so", async () => {
  const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
  await using _machine = machine;
  const condition = parseCondition("u8[0xffff800000000000] == 0", isRegister);
  await debug.add({ kind: "execute", address: STORE, condition });
  assert.match((await untilStop(machine))?.message ?? "", /0xffff800000000000 is not mapped/);
});

onKvm("a trap goes to a physical address, and code that is written over it counts", async () => {
  const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
  await using _machine = machine;
  await debug.add({ kind: "execute", address: AGAIN, physical: true });
  assert.equal((await untilStop(machine))?.pc, AGAIN);
  const nops = Uint8Array.of(0x90, 0x90); // for inc eax: each shorter than a trap may be
  await machine.inspect(({ memory }) => memory.write(Number(AGAIN), nops));
  assert.equal((await untilStop(machine))?.pc, AGAIN);
  assert.deepEqual(await machine.inspect(({ memory }) => memory.read(Number(AGAIN), 2)), nops);
  assert.equal(await counter(machine), 0);
});

onKvm("a write and a read are watched where the host's KVM tells of them", async () => {
  const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
  await using _machine = machine;
  const watch: BreakpointRequest = { kind: "write", address: 0x8000n, length: 4 };
  if (!ABLE.writes) {
    await assert.rejects(debug.add(watch), /This host's KVM does not tell when data/);
    return;
  }
  await debug.add(watch);
  const stop = await untilStop(machine);
  assert.deepEqual([stop?.reason, stop?.pc, await counter(machine)], ["watchpoint", STORED, 1]);
});

onKvm("a hundred pauses and resumes around breakpoints lose no count", async () => {
  const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
  await using _machine = machine;
  const set = await debug.add({ kind: "execute", address: STORE });
  for (let round = 0; round < 100; round++) {
    machine.resume();
    if (round % 2 === 0) await machine.pause().catch(() => {}); // the breakpoint may be faster
    await machine.standing();
  }
  while (machine.pausedBy?.reason !== "breakpoint") await untilStop(machine);
  assert.equal(await counter(machine), set.hits - 1);
});

onKvm("whoever looks never sees a vCPU beyond or within a trap", async () => {
  const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
  await using _machine = machine;
  const condition = parseCondition("0", isRegister);
  await debug.add({ kind: "execute", address: STORE, condition, how: "software" });
  machine.resume();
  const seen = new Set<bigint>();
  for (let round = 0; round < 200; round++) {
    if (round % 4 === 0) {
      await machine.pause();
      machine.resume();
    }
    seen.add(await machine.inspect(({ vcpus }) => vcpus[0]!.getRegs().rip));
    await turn();
  }
  assert.deepEqual([...seen].filter((rip) => !INSTRUCTIONS.includes(rip)), []);
});

onKvm("a machine with breakpoints is ended while it steps over them", async () => {
  for (let round = 0; round < 5; round++) {
    const { machine, debug } = await paused(LONG_COUNT, { mode: "long" });
    await using _machine = machine;
    const never = parseCondition("0", isRegister);
    await debug.add({ kind: "execute", address: STORE, condition: never });
    machine.resume();
    while (await counter(machine) < 3) await turn();
    assert.equal((await machine.stop()).kind, "killed");
  }
});
