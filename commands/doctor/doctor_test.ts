import { deepEqual, equal, match } from "node:assert/strict";
import { HostError } from "../../ffi/errors.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { Vm } from "../../ffi/kvm/vm.ts";
import { shLine } from "../../tests/sh_line.ts";
import { hostFindings } from "./host_findings.ts";
import { kvmFindings, type KvmSource } from "./kvm_findings.ts";

const disposable = { [Symbol.dispose]() {} };

/** A KVM with every capability but some, whose VMs can or cannot be made. */
function fakeKvm(lacking: readonly number[], createVm: () => Vm = fakeVm): KvmSource {
  return () => ({
    ...disposable,
    capability: (number: number) => lacking.includes(number) ? 0 : 1,
    createVm,
  });
}

function fakeVm(): Vm {
  return { ...disposable, createVcpu: () => disposable as unknown as Vcpu } as unknown as Vm;
}

function failing(errno: number): KvmSource {
  return () => {
    throw new HostError("open", errno, { path: "/dev/kvm" });
  };
}

Deno.test("a KVM that has everything is ok in every line", () => {
  const findings = kvmFindings(fakeKvm([]));
  deepEqual([...new Set(findings.map(({ state }) => state))], ["ok"]);
  equal(findings.some(({ check }) => check === "KVM_CAP_IMMEDIATE_EXIT"), true);
});

Deno.test("a capability that guests cannot do without is missing, another one a warning", () => {
  const findings = kvmFindings(fakeKvm([Capability.IMMEDIATE_EXIT, Capability.TSC_CONTROL]));
  const states = findings.filter(({ state }) => state !== "ok").map((f) => [f.check, f.state]);
  deepEqual(states, [["KVM_CAP_TSC_CONTROL", "warn"], ["KVM_CAP_IMMEDIATE_EXIT", "missing"]]);
});

Deno.test("a /dev/kvm that refuses has the command that mends it", () => {
  const [refused] = kvmFindings(failing(13));
  deepEqual([refused!.check, refused!.state], ["/dev/kvm", "missing"]);
  match(refused!.detail, /^\/dev\/kvm: open: permission denied \(EACCES\)$/);
  match(refused!.fix!, /usermod -aG kvm \$USER/);
  const [absent] = kvmFindings(failing(2));
  match(absent!.fix!, /modprobe kvm_|--device \/dev\/kvm|no KVM/);
});

Deno.test("a KVM that opens but makes no VM is missing", () => {
  const findings = kvmFindings(fakeKvm([], () => {
    throw new HostError("KVM_CREATE_VM", 16);
  }));
  const found = findings.find(({ check }) => check === "KVM_CREATE_VM");
  deepEqual([found?.state, found?.detail], [
    "missing",
    "KVM_CREATE_VM: device or resource busy (EBUSY)",
  ]);
});

Deno.test("whatever is not ok has a fix", () => {
  for (const finding of [...kvmFindings(failing(13)), ...hostFindings()]) {
    equal(finding.state === "ok" || finding.fix !== undefined, true, finding.check);
  }
});

Deno.test("doctor prints an object a line in a pipe, and ends with 0 exactly if guests can run", async () => {
  const { status, stdout, stderr } = await shLine("hvsh doctor");
  equal(stderr, "");
  const findings = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const kvm = findings.filter(({ check }) => /kvm/i.test(check));
  equal(status, kvm.some(({ state }) => state === "missing") ? 125 : 0);
});

Deno.test("doctor's table has the fix on a line below", async () => {
  const { stdout } = await shLine("hvsh doctor -o table", { env: { XDG_RUNTIME_DIR: "/nowhere" } });
  match(stdout, /^missing +XDG_RUNTIME_DIR +\/nowhere is not there\n +try: log in/m);
});
