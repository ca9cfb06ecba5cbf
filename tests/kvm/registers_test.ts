/** A vCPU's registers by name, on a real one. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  RegisterFiles,
  registersFromJson,
  registersToJson,
  type RegisterValues,
} from "../../vmm/debug/register_files.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

/** Works on the registers of a machine that has not started. */
async function withRegisters(
  work: (files: RegisterFiles) => void,
  more: Record<string, unknown> = {},
): Promise<void> {
  await using machine = await Machine.create(flatDocument(SPIN, {}, more));
  await machine.inspect(({ vcpus }) => work(new RegisterFiles(vcpus[0]!)));
}

const bits = (count: number) => fc.bigInt({ min: 0n, max: 2n ** BigInt(count) - 1n });

/** Registers that take any value of their width. */
const FREE: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    ["rax", "rbx", "rsi", "rsp", "rbp", "r8", "r15", "rip"].map((n) => [n, 64]),
  ),
  ...Object.fromEntries(["dr0", "dr1", "dr2", "dr3", "cr2"].map((name) => [name, 64])),
  ...Object.fromEntries(["xmm0", "xmm7", "xmm15"].map((name) => [name, 128])),
  ...Object.fromEntries(["st0", "st7"].map((name) => [name, 80])),
  "sysenter_cs": 32,
  "gdt.base": 40,
  "gdt.limit": 16,
};

onKvm("registers come back as they were set, through JSON too", async () => {
  await withRegisters((files) => {
    fc.assert(
      fc.property(
        fc.record(
          Object.fromEntries(Object.entries(FREE).map(([name, width]) => [name, bits(width)])),
          { requiredKeys: [] },
        ),
        (chosen) => {
          const values = chosen as RegisterValues;
          const before = files.readGroups(["general", "control", "debug", "sse", "fpu"]);
          files.write(registersFromJson(JSON.parse(JSON.stringify(registersToJson(values)))));
          assert.deepEqual(files.read(Object.keys(values)), { ...values });
          const untouched = Object.keys(before).filter((name) => !(name in values));
          const after = files.read(untouched);
          for (const name of untouched) assert.equal(after[name], before[name], name);
        },
      ),
      { numRuns: 50 },
    );
  });
});

onKvm("vector registers are parts of each other", async () => {
  await withRegisters((files) => {
    if (!files.names("avx").includes("ymm1")) return assert.deepEqual(files.names("avx512"), []);
    files.write({ ymm1: 2n ** 255n + 5n, xmm2: 2n ** 127n });
    assert.deepEqual([files.get("xmm1"), files.get("ymm2")], [5n, 2n ** 127n]);
    if (files.names("avx512").includes("zmm1")) {
      files.set("zmm1", 2n ** 511n + 7n);
      assert.deepEqual([files.get("ymm1"), files.get("xmm1")], [7n, 7n]);
    }
  });
});

onKvm("every register of every group is read, and groups have names of their own", async () => {
  await withRegisters((files) => {
    const all = files.readGroups();
    assert.deepEqual([all.rip, all.cs, all["cs.limit"], all.mp_state], [0x7c00n, 0n, 0xffffn, 0n]);
    assert.equal(all.fcw, 0x37fn);
    assert.equal(all.mxcsr, 0x1f80n);
    assert.equal(all["lapic.version"]! & 0xffn, 0x14n);
    const names = Object.keys(all);
    assert.equal(new Set(names).size, names.length);
    assert.equal(files.names("lapic").length > 30, true);
  }, { irqchip: true });
});

onKvm("without interrupt controllers there is no local APIC to read", async () => {
  await withRegisters((files) => {
    assert.deepEqual(files.names("lapic"), []);
    assert.throws(() => files.get("lapic.tpr"), /There is no register "lapic.tpr"/);
  });
});

onKvm("registers are set all or none", async () => {
  await withRegisters((files) => {
    const before = files.readGroups(["general", "control", "sse"]);
    const unchanged = () =>
      assert.deepEqual(files.readGroups(["general", "control", "sse"]), before);
    assert.throws(() => files.write({ rax: 1n, rxa: 2n }), /no register "rxa"/);
    unchanged();
    assert.throws(() => files.write({ rax: 1n, cs: 0x10000n }), /0x10000 does not fit into cs/);
    unchanged();
    assert.throws(() => files.write({ rax: -1n }), /does not fit/);
    unchanged();
    // Paging without protection is nothing that a CPU can have.
    assert.throws(
      () => files.write({ rax: 1n, xmm0: 3n, cr0: 0x8000_0000n }),
      /KVM refuses cr0 \(.*EINVAL\)\); nothing was changed/,
    );
    unchanged();
    assert.throws(() => files.write({ rax: 1n, "msr_0xdeadbeef": 1n }), /msr_0xdeadbeef/);
    unchanged();
  });
});

onKvm("a value that is no number names its register", () => {
  assert.throws(() => registersFromJson({ rax: "zero" }), /rax: "zero" is not a register's value/);
  assert.throws(() => registersFromJson({ rax: -1 }), /rax: -1/);
  assert.deepEqual(registersFromJson({ rax: 5, rbx: "0x10", rcx: "10" }), {
    rax: 5n,
    rbx: 16n,
    rcx: 10n,
  });
});

onKvm("what is set is what the guest goes on with", async () => {
  // mov al, bl; out 0xf4, al: bl comes from outside. Real mode.
  const code = listing(`
    eb fe                 jmp $
    88 d8                 mov al, bl            ; at 7c02
    e6 f4                 out 0xf4, al
    f4                    hlt
  `);
  await using machine = await Machine.create(flatDocument(code));
  machine.start();
  await machine.inspect(({ vcpus }) =>
    new RegisterFiles(vcpus[0]!).write({ rip: 0x7c02n, rbx: 42n })
  );
  assert.deepEqual(await machine.ended, { kind: "exit", status: 42 });
});
