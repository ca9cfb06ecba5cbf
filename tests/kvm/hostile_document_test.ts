import assert from "node:assert/strict";
import { HvshError } from "../../ffi/errors.ts";
import { parseDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { HALT, HELLO, listing } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const document = (more: Record<string, unknown> = {}) => ({
  vm: 1,
  memory: [{ type: "ram", size: "1M" }],
  devices: [{ type: "serial" }],
  boot: { flat: { images: [{ data: HELLO.toBase64() }] } },
  ...more,
});

/** What is said about a document that cannot be run: words and a hint; and nothing is left open. */
async function complaint(more: Record<string, unknown>): Promise<string> {
  const before = openVmFiles();
  try {
    await using _machine = await Machine.create(parseDocument(document(more), "stdin"));
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    assert.equal(error.exitStatus, 125);
    assert.deepEqual(openVmFiles(), before);
    return `${error.message}\n${error.hint ?? ""}`;
  }
  return "nothing";
}

onKvm("a document with keys that nobody knows runs as if they were not there", async () => {
  await using home = new HvshHome();
  const text = JSON.stringify(document({ note: { any: ["thing"] }, cpu: { colour: "red" } }));
  assert.deepEqual(await home.run(["run"], text), { status: 0, stdout: "H\n", stderr: "" });
});

onKvm("memory that cannot be is refused in words", async () => {
  const ram = (base: number | undefined, size: number | string) => ({ type: "ram", base, size });
  const cases: [unknown[], RegExp][] = [
    [[], /7c00/],
    [[ram(undefined, "1024T")], /try a smaller/],
    [[ram(0, "16T")], /KVM_SET_USER_MEMORY_REGION/],
    [[ram(0, "1M"), ram(0x8_0000, "1M")], /memory\[1\]: 0x80000-0x17ffff overlaps/],
    [[ram(0, 5000)], /size 5000 is not a multiple of 4096/],
    [[ram(0, "1M"), ram(2 ** 52, "1M")], /KVM_SET_USER_MEMORY_REGION/],
    [
      [ram(0, "1M"), { type: "rom", base: 0x10_0000, path: "/no/such" }],
      /\/no\/such: open: no such/,
    ],
    [[ram(0, "1M"), { type: "rom", base: 0x10_0000, path: "/" }], /\/ is no plain file/],
  ];
  for (const [memory, message] of cases) {
    assert.match(await complaint({ memory }), message);
  }
});

onKvm(
  "memory where KVM's own interrupt controllers lie is refused or hidden, never a crash",
  async () => {
    await using home = new HvshHome();
    const memory = [{ type: "ram", base: 0, size: "1M" }, {
      type: "ram",
      base: 0xfec0_0000,
      size: "16M",
    }];
    for (const irqchip of [false, true]) {
      const text = JSON.stringify(document({ memory, irqchip }));
      const { status } = await home.run(["run", "--timeout", "2"], text);
      assert.ok([0, 124, 125].includes(status), `${status}`);
    }
  },
);

onKvm("devices that cannot be are refused in words", async () => {
  await using home = new HvshHome();
  const module = (name: string, text: string) => ({
    type: "module",
    module: `file://${home.write(name, text)}`,
  });
  const cases: [unknown[], RegExp][] = [
    [[{ type: "serail" }], /No device is of type "serail"[\s\S]*did you mean "serial"\?/],
    [[{ type: "serial" }, { type: "serial", port: 0x3fa }], /0x3fa-0x401: serial0 has 0x3f8-0x3ff/],
    [[{ type: "serial", port: "COM1" }], /serial0/],
    [[{ type: "serial", port: -1 }], /serial0/],
    [[module("throws.ts", 'throw new Error("broken")')], /throws\.ts: cannot load .*broken/],
    [[module("syntax.ts", "export default {{")], /syntax\.ts: cannot load the device/],
    [[module("empty.ts", "")], /empty\.ts: there is no default export/],
    [[{ type: "module", module: "file:///no/such.ts" }], /\/no\/such\.ts: cannot load/],
  ];
  for (const [devices, message] of cases) {
    assert.match(await complaint({ devices }), message);
  }
});

onKvm(
  "a device whose code throws in the middle of a run ends it with 125 and says what",
  async () => {
    await using home = new HvshHome();
    const read = listing(`
    ba 00 03              mov dx, 0x300
    ec                    in al, dx
    f4                    hlt
  `);
    const broken = document({
      devices: [{ type: "module", module: new URL("throwing_device.ts", import.meta.url).href }],
      boot: { flat: { images: [{ data: read.toBase64() }] } },
    });
    const { status, stderr: said } = await home.run(["run"], JSON.stringify(broken));
    assert.equal(status, 125);
    assert.match(said, /^hvsh run: (vCPU 0: )?Device module0: The device has a mistake\n/);
    assert.match(said, /look at file:\S*throwing_device\.ts:\d+:\d+\n$/);
  },
);

onKvm("what cannot start is refused in words", async () => {
  await using home = new HvshHome();
  const data = HALT.toBase64();
  const flat = (flat: Record<string, unknown>) => ({ boot: { flat } });
  const fifo = `${home.folder}/fifo`;
  await new Deno.Command("mkfifo", { args: [fifo] }).output();
  const blank = `${home.folder}/blank`;
  for (const path of [blank, `${home.folder}/${"r".repeat(48)}`]) {
    Deno.writeFileSync(path, new Uint8Array(4096));
  }
  const behind = (firmware: Record<string, unknown>) => ({
    kernel: { path: blank },
    firmware: { path: blank, ...firmware },
  });
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ boot: undefined }, /nothing to boot/],
    [{ boot: { flat: { images: [{ data }] }, kernel: { path: "/x" } } }, /cannot both start/],
    [{ boot: { flat: { images: [{ data }] }, firmware: { path: "/x" } } }, /cannot both start/],
    [{ memory: [{ type: "ram", size: "1M" }], boot: behind({}) }, /needs RAM above 1 MiB/],
    [{ boot: behind({ roms: [blank, blank] }) }, /roms\[1\]: .*no place for the name blank/],
    [{ boot: behind({ roms: [`${home.folder}/${"r".repeat(48)}`] }) }, /roms\[0\]: .*no place/],
    [flat({ images: [] }), /No flat image to start/],
    [flat({ images: [{}] }), /images\[0\]: it has no "path" and no "data"/],
    [flat({ images: [{ data: "" }] }), /the image is empty/],
    [flat({ images: [{ data, base: 0x10_0000 }] }), /0x100000/],
    [flat({ images: [{ data, base: 2 ** 53 - 1 }] }), /0x1fffffffffffff/],
    [flat({ images: [{ data }], entry: 2 ** 40 }), /entry 0x10000000000 is not in/],
    [flat({ images: [{ path: fifo }] }), /fifo: it is not a plain file/],
    [flat({ images: [{ path: "/dev/zero" }] }), /\/dev\/zero: it is not a plain file/],
    [{ cpus: 2, irqchip: false }, /2 vCPUs need interrupt controllers/],
  ];
  for (const [more, message] of cases) {
    assert.match(await complaint(more), message);
  }
});
