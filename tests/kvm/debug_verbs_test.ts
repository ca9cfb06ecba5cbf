import assert from "node:assert/strict";
import { HELLO, listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome, type HvshResult } from "../run_hvsh.ts";

/** The objects that a verb printed, after looking that it did well. */
function records({ status, stdout, stderr }: HvshResult): Record<string, unknown>[] {
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

onKvm(
  "the boot-sector lesson: a paused VM, and step by a loop of sh with no terminal",
  async () => {
    await using home = new HvshHome();
    home.write("boot.bin", HELLO);
    const start = "hvsh create | hvsh flat boot.bin@0x7c00 | hvsh run -d --paused -n cls >&2";
    const line = `${start}; while read _; do hvsh step cls; done`;
    const { status, stdout } = await home.line(line, "\n\n\n\n\n\n");
    assert.equal(status, 0);
    assert.deepEqual(
      stdout.trim().split("\n").map((line) => JSON.parse(line)),
      [
        ["0x7c03", "mov al,48h"],
        ["0x7c05", "out dx,al"],
        ["0x7c06", "mov al,0Ah"],
        ["0x7c08", "out dx,al"],
        ["0x7c09", "hlt"],
      ].map(([pc, instruction]) => ({ live: "cls", cpu: 0, pc, instruction })),
    );
    assert.equal(JSON.parse((await home.run(["wait", "cls"])).stdout).reason, "halt");
  },
);

onKvm(
  "break, wait --stop and resume: the handle says why, and the next verb takes it",
  async () => {
    await using home = new HvshHome();
    const code = listing(`
    31 c0   xor ax, ax
    40      inc ax                ; 7c02, again:
    eb fd   jmp again
  `);
    const path = home.write("count.bin", code);
    const [{ pid }] = records(
      await home.run(["run", "-d", "--paused", "-n", "web", "--flat", path]),
    ) as [{ pid: number }];
    const [set] = records(await home.run(["break", "web", "0x7c03", "--if", "ax == 7"]));
    assert.deepEqual({ ...set, how: "" }, {
      ...{ live: "web", breakpoint: 1, kind: "execute", address: "0x7c03", how: "" },
      ...{ if: "ax == 7", hits: 0 },
    });
    const line = "hvsh resume web | hvsh wait --stop | tee stop | hvsh regs --get rax";
    const [registers] = records(await home.line(line));
    assert.equal(BigInt(registers!.rax as string), 7n);
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(`${home.folder}/stop`)), {
      ...{ live: "web", pid, state: "paused" },
      ...{ reason: "breakpoint", cpu: 0, pc: "0x7c03", breakpoint: 1 },
    });
    assert.equal(records(await home.run(["break", "web"]))[0]!.hits, 1);

    const [step] = records(await home.run(["step", "web"]));
    assert.deepEqual([step!.pc, step!.instruction], ["0x7c02", "inc ax"]);
    assert.equal(records(await home.run(["list"]))[0]!.reason, "step");
    assert.deepEqual(records(await home.run(["break", "web", "--delete", "1"])), []);
    assert.equal((await home.run(["break", "web", "--delete", "1"])).status, 125);
    const [resumed] = records(await home.run(["resume", "web"]));
    assert.deepEqual(resumed, { live: "web", pid, state: "running" });
    await home.run(["kill", "web"]);
    await home.run(["wait", "web"]);
  },
);

onKvm("memory that is read while a guest runs has its own bytes, not a breakpoint's", async () => {
  await using home = new HvshHome();
  const path = home.write("spin.bin", SPIN);
  records(await home.run(["run", "-d", "-n", "spin", "--flat", path]));
  records(await home.run(["break", "spin", "0x7c80", "--sw"]));
  records(await home.run(["break", "spin", "0x7c90", "--sw", "--physical"]));
  const { stdout } = await home.line("hvsh mem read spin 0x7c80 32 | tr -d '\\0' | wc -c");
  assert.equal(stdout.trim(), "0");
  await home.run(["kill", "spin"]);
  await home.run(["wait", "spin"]);
});

onKvm("wait --stop tells of the end of a VM that ends", async () => {
  await using home = new HvshHome();
  const path = home.write("hello.bin", HELLO);
  records(await home.run(["run", "-d", "--paused", "-n", "end", "--flat", path]));
  const result = await home.line("hvsh resume end | hvsh wait --stop");
  const [end] = records(result);
  assert.deepEqual([end!.live, end!.reason, end!.status], ["end", "halt", 0]);
  await home.run(["wait", "end"]);
});

onKvm("wrong words are told: an address, a condition, a VM that runs", async () => {
  await using home = new HvshHome();
  const path = home.write("spin.bin", SPIN);
  records(await home.run(["run", "-d", "-n", "spin", "--flat", path]));
  const cases: [string[], RegExp][] = [
    [["break", "spin", "nowhere"], /neither an address nor a symbol/],
    [["break", "spin", "0x7c00", "--if", "rax =="], /a value is due/],
    [["break", "spin", "0x7c00", "--length", "4"], /--length goes with/],
    [["break", "spin", "0x7c01", "--write", "--length", "4"], /.+/],
    [["break", "spin", "0x7c00", "--hw", "--sw"], /Either --hw or --sw/],
    [["step", "spin"], /Cannot step a VM that is running/],
    [["step", "spin", "0"], /no number of instructions/],
    [["gdb", "spin", "--tcp", "nope"], /not a TCP port/],
  ];
  for (const [args, message] of cases) {
    const { status, stderr } = await home.run(args);
    assert.notEqual(status, 0, args.join(" "));
    assert.match(stderr, message);
  }
  await home.run(["kill", "spin"]);
  await home.run(["wait", "spin"]);
});
