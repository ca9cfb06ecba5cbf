import { equal, throws } from "node:assert/strict";
import { DocumentError, HostError } from "../ffi/errors.ts";
import type { Vm } from "../ffi/kvm/vm.ts";
import "../tests/c_library.ts";
import { nothingOpenedSince, openFiles } from "../tests/leaks.ts";
import type { MemoryEntry } from "./document.ts";
import { MachineMemory } from "./memory.ts";

const MIB = 2 ** 20;

function refused(entries: readonly MemoryEntry[], message: RegExp): void {
  const before = openFiles();
  throws(() => new MachineMemory(entries), { name: "DocumentError", message });
  nothingOpenedSince(before);
}

Deno.test("more regions than every KVM has slots for are refused at once", () => {
  const regions = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ type: "ram" as const, base: i * 8192, size: 4096 }));
  refused(regions(510), /^VM document, memory: it has 510 regions, more than 509$/);
  refused(regions(100_000), /it has 100000 regions/);
  using memory = new MachineMemory(regions(509));
  equal(memory.slots.length, 509);
});

Deno.test("addresses at the end of what numbers hold are refused by what is wrong with them", () => {
  const ram = (base: number, size: number): MemoryEntry => ({ type: "ram", base, size });
  refused([ram(2 ** 53 - 4096, 4096)], /0x1ffffffffff000 and 4096 bytes are beyond 2\^53/);
  refused([ram(2 ** 53 - 1, 4096)], /base 0x1fffffffffffff is not a multiple of 4096/);
  refused([ram(2 ** 52, MIB), ram(2 ** 52 + 4096, MIB)], /overlaps the region at 0x10000000000000/);
});

Deno.test("a file is said to be too short in numbers that are true", () => {
  const path = Deno.makeTempFileSync({ prefix: "hvsh-test-" });
  try {
    Deno.writeFileSync(path, new Uint8Array(5000));
    const file = (more: Partial<MemoryEntry>): MemoryEntry[] => [
      { type: "file", base: 0, path, ...more },
    ];
    refused(file({ size: 0 }), /has 5000 bytes, not 0 at 0$/);
    refused(file({ size: 12_288 }), /has 5000 bytes, not 12288 at 0$/);
    refused(file({ offset: 8192 }), /has 5000 bytes, not any at 8192$/);
    refused(file({ offset: 2 ** 52 }), /has 5000 bytes, not any at 4503599627370496$/);
    refused(file({ size: 2 ** 53 - 1, offset: 4096 }), /not 9007199254740991 at 4096$/);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("memory that KVM does not take is named by its size and address", () => {
  using memory = new MachineMemory([{ type: "ram", base: 2 ** 45, size: MIB }]);
  const vm = {
    setMemory() {
      throw new HostError("KVM_SET_USER_MEMORY_REGION", 22);
    },
  };
  throws(() => memory.register(vm as unknown as Vm), {
    name: "HostError",
    message: "KVM_SET_USER_MEMORY_REGION: invalid argument (EINVAL)",
    hint: "another address or size for the 1M at 0x200000000000",
  });
});

Deno.test("what is not about memory has no hint about memory", () => {
  throws(() => new MachineMemory([{ type: "rom", base: 0, path: "/no/such" }]), (error) => {
    equal(error instanceof HostError && error.hint, undefined);
    return true;
  });
  throws(() => new MachineMemory([{ type: "ram", size: 2 ** 50 }]), {
    hint: "the guest wants 1024T of memory; try a smaller `create -m`",
  });
  throws(() => new MachineMemory([{ type: "shared" }]), DocumentError);
});
