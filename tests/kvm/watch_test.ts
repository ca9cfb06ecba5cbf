import assert from "node:assert/strict";
import type { TracedExit, TraceOptions } from "../../vmm/debug/exit_trace.ts";
import { traceExits } from "../../vmm/debug/exit_trace.ts";
import { profile, type StackSample } from "../../vmm/debug/profile.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { ACCESSES, EIGHTY_WRITES, FIRST_CPU, listing, SECOND_CPU, SPIN } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";

/** Writes to a port that is nobody's, for ever. Real mode. */
const LEAVING = listing(`
  ba 00 03              mov dx, 0x300
  ee                    out dx, al            ; again:
  eb fd                 jmp again
`);

/** Calls `outer`, which calls `inner`, which spins. Long mode, at 0x7c00. */
const CALLS = listing(`
  bc 00 90 00 00        mov esp, 0x9000       ; 7c00 start
  31 ed                 xor ebp, ebp
  e8 01 00 00 00        call outer
  f4                    hlt
  55                    push rbp              ; 7c0d outer
  48 89 e5              mov rbp, rsp
  e8 02 00 00 00        call inner
  c9                    leave
  c3                    ret
  55                    push rbp              ; 7c18 inner
  48 89 e5              mov rbp, rsp
  eb fe                 jmp $
`);

/** Traces a guest from its first instruction to its end. */
async function traceAll(document: ReturnType<typeof flatDocument>, options: TraceOptions = {}) {
  await using machine = await Machine.create(document);
  machine.start({ paused: true });
  const trace = traceExits(machine.watch, options);
  assert.deepEqual((await trace.next()).value, []); // it is on
  machine.resume();
  const exits: TracedExit[] = [];
  for await (const batch of trace) exits.push(...batch);
  return exits.filter(({ reason }) => reason !== "intr");
}

onKvm("a guest's exits are traced in order, with all that they say, to its end", async () => {
  const exits = await traceAll(flatDocument(ACCESSES, { mode: "long" }));
  const said = exits.map(({ reason, port, address, direction, size, count, value }) =>
    [reason, port ?? address, direction, size, count, value].filter((x) => x !== undefined)
      .map((x) => typeof x === "string" ? x : x.toString(16)).join(" ")
  );
  assert.deepEqual(said.slice(0, 9), [
    "io 300 out 1 11",
    "io 300 out 2 2211",
    "io 300 out 4 44332211",
    "io 300 in 1 ff",
    "io 300 in 2 ffff",
    "io 300 in 4 ffffffff",
    "io 300 out 4 ffffffff",
    "io 310 out 4 ffffffff",
    "io 306 in 4 ffffffff",
  ]);
  assert.ok(said.includes("mmio d0000008 out 8 8877665544332211"));
  assert.equal(said.at(-1), "hlt");
  for (const [i, { time_ns, handled_ns, vcpu }] of exits.entries()) {
    assert.ok(handled_ns! >= 0 && vcpu === 0);
    assert.ok(i === 0 || time_ns >= exits[i - 1]!.time_ns + exits[i - 1]!.handled_ns!);
  }
});

onKvm("a trace gives what was asked for: reasons, ports, devices, so many", async () => {
  const document = flatDocument(EIGHTY_WRITES);
  assert.equal((await traceAll(document, { ports: { base: 0x300, end: 0x301 } })).length, 80);
  assert.deepEqual((await traceAll(document, { reasons: ["hlt"] })).map((e) => e.reason), ["hlt"]);
  assert.deepEqual(await traceAll(document, { device: "serial0" }), []);
  await assert.rejects(traceAll(document, { device: "serial7" }), /There is no device "serial7"/);
  await assert.rejects(traceAll(document, { cpus: [1] }), /There is no vCPU 1: it has 1/);
  await assert.rejects(traceAll(document, { reasons: ["ioo"] }), /There is no exit reason "ioo"/);

  await using machine = await Machine.create(flatDocument(LEAVING));
  machine.start();
  const five: TracedExit[] = [];
  for await (const batch of traceExits(machine.watch, { reasons: ["io"], count: 5 })) {
    five.push(...batch);
  }
  assert.deepEqual(five.map(({ port, device }) => [port, device]), Array(5).fill([0x300, null]));
});

onKvm("exits that nobody reads are lost and counted, and the guest goes on", async () => {
  await using machine = await Machine.create(flatDocument(LEAVING));
  machine.start();
  const trace = traceExits(machine.watch, { reasons: ["io"] });
  await trace.next();
  const exitsOf = async () => {
    const records = await machine.watch.figures();
    return records.find(({ part }) => part === "vcpu")!.figures.exits as number;
  };
  const start = await exitsOf();
  while (await exitsOf() < start + 40_000); // more than the ring has room for
  let lost = 0;
  for (let i = 0; lost === 0 && i < 100; i++) {
    const { value } = await trace.next();
    for (const exit of value!) lost += exit.lost ?? 0;
  }
  assert.ok(lost > 0);
  await trace.return(undefined);
  const { kind } = await machine.stop();
  assert.equal(kind, "killed");
});

onKvm("several readers trace one VM, come and go, and each gets its own", async () => {
  await using machine = await Machine.create(flatDocument(LEAVING));
  machine.start();
  const all = traceExits(machine.watch, {});
  const none = traceExits(machine.watch, { reasons: ["mmio"] });
  await all.next();
  await none.next();
  const nothing = none.next();
  for (let round = 0; round < 20; round++) {
    const some = traceExits(machine.watch, { reasons: ["io"] });
    await some.next();
    const { value } = await some.next();
    assert.ok(value!.every(({ reason }: { reason: string }) => reason === "io"));
    assert.ok((await all.next()).value!.length > 0);
    await some.return(undefined);
  }
  await all.return(undefined);
  await machine.stop();
  assert.equal((await nothing).done, true);
});

onKvm("a trace that is asked for while the VM starts is on before it runs", async () => {
  for (let round = 0; round < 10; round++) {
    await using machine = await Machine.create(flatDocument(EIGHTY_WRITES));
    machine.start({ paused: true });
    for (let turn = 0; turn < 3 * round; turn++) {
      await new Promise((resolve) => setTimeout(resolve));
    }
    const trace = traceExits(machine.watch, { reasons: ["io"] });
    await trace.next();
    machine.resume();
    let count = 0;
    for await (const batch of trace) count += batch.length;
    assert.equal(count, 80);
  }
});

async function samplesOf(machine: Machine, count: number): Promise<StackSample[]> {
  const samples: StackSample[] = [];
  for await (const batch of profile(machine.watch, { frequency: 500 })) {
    samples.push(...batch);
    if (samples.length >= count) break;
  }
  return samples;
}

onKvm("a guest that spins in one function is found there, called from where it was", async () => {
  await using machine = await Machine.create(flatDocument(CALLS, { mode: "long" }));
  machine.start();
  const samples = await samplesOf(machine, 100);
  const inside = samples.filter(({ frames }) => frames[0] === 0x7c1cn);
  assert.ok(inside.length >= 0.95 * samples.length, `${inside.length} of ${samples.length}`);
  for (const { frames, mode, cr3 } of inside) {
    assert.deepEqual([frames.slice(1), mode, cr3 !== 0n], [[0x7c16n, 0x7c0cn], "kernel", true]);
  }
});

onKvm(
  "a vCPU that is halted is idle, and one that waits to be started is not sampled",
  async () => {
    const halted = Uint8Array.of(0xf4, 0xeb, 0xfd); // hlt; jmp $ - 1
    await using machine = await Machine.create(
      flatDocument(halted, {}, { irqchip: true, cpus: 2 }),
    );
    machine.start();
    const samples = await samplesOf(machine, 20);
    const idle = samples.filter(({ mode }) => mode === "idle");
    assert.ok(idle.length >= 18, `${idle.length} of ${samples.length}`);
    assert.ok(samples.every(({ vcpu }) => vcpu === 0));
    assert.ok(idle.every(({ frames }) => frames[0] === 0x7c01n)); // behind the instruction
  },
);

onKvm("a VM that is paused gives no samples and takes readers all the same", async () => {
  await using machine = await Machine.create(flatDocument(SPIN));
  machine.start();
  await machine.pause();
  const seen = [];
  for await (const batch of profile(machine.watch, { frequency: 1000, seconds: 0.2 })) {
    seen.push(...batch);
  }
  assert.deepEqual(seen, []);
  machine.resume();
  assert.ok((await samplesOf(machine, 5)).length >= 5);
});

onKvm("KVM's figures, the host's times and the devices' counters are told by part", async () => {
  const code = [{ code: FIRST_CPU, base: 0x1_0000 }, { code: SECOND_CPU, base: 0x1_1000 }];
  const document = flatDocument(code, { mode: "protected" }, {
    cpus: 2,
    memory: [{ type: "ram", size: 2 ** 21 }],
    devices: [{ type: "serial" }, { type: "balloon" }],
  });
  const before = openVmFiles();
  {
    await using machine = await Machine.create(document);
    await assert.rejects(machine.watch.figures(), /Cannot watch a VM that does not run/);
    machine.start({ paused: true });
    const records = await machine.watch.figures();
    assert.deepEqual(records.map(({ part, id }) => [part, id]), [
      ["vm", undefined],
      ["vcpu", 0],
      ["vcpu", 1],
      ["device", "balloon0"],
    ]);
    assert.ok(records[3]!.gauges.includes("target"));
    const [vm, vcpu] = records;
    assert.equal(typeof vm!.figures.remote_tlb_flush, "number");
    assert.equal(typeof vcpu!.figures.exits, "number");
    assert.ok((vcpu!.figures.cpu_ns as number) > 0);
    assert.ok(vm!.gauges.includes("pages_4k"));
    machine.resume();
    await machine.ended;
    await assert.rejects(machine.watch.figures(), /Cannot watch a VM that does not run/);
  }
  assert.deepEqual(openVmFiles(), before);
});
