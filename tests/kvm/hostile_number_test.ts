/**
 * Every number of a document, and what it must not be. In this process, since there are many.
 */
import assert from "node:assert/strict";
import { HvshError } from "../../ffi/errors.ts";
import { parseDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { HALT } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

type Json = Record<string, unknown>;

const FLAT = { images: [{ data: HALT.toBase64() }] };
const RAM = { type: "ram", base: 0, size: 2 ** 20 };

/** A document with one value in one place, and how a message names that place. */
const PLACES: readonly [name: RegExp, (value: unknown, file: string) => Json][] = [
  [/"vm"/, (vm) => ({ vm })],
  [/cpus/, (cpus) => ({ cpus })],
  [
    /memory(\.1\.|\[1\].*)size|mmap.*/,
    (size) => ({ memory: [RAM, { type: "ram", base: 2 ** 32, size }] }),
  ],
  [/memory(\.1\.|\[1\].*)|KVM_SET_USER_MEMORY_REGION/, (base) => ({
    memory: [RAM, { type: "ram", base, size: 2 ** 20 }],
  })],
  [/memory(\.1\.|\[1\].*)|KVM_SET_USER_MEMORY_REGION/, (base, path) => ({
    memory: [RAM, { type: "rom", base, path }],
  })],
  [/memory(\.1\.|\[1\].*)/, (size, path) => ({
    memory: [RAM, { type: "file", base: 2 ** 32, path, size }],
  })],
  [/memory(\.1\.|\[1\].*)/, (offset, path) => ({
    memory: [RAM, { type: "shared", base: 2 ** 32, path, offset }],
  })],
  [/boot\.flat\.images\.0\.base|flat image: /, (base) => ({
    boot: { flat: { images: [{ ...FLAT.images[0], base }] } },
  })],
  [/boot\.flat\.entry|flat image: entry/, (entry) => ({ boot: { flat: { ...FLAT, entry } } })],
  [/serial0.*port/, (port) => ({ devices: [{ type: "serial", port }] })],
  [/serial0.*irq/, (irq) => ({ devices: [{ type: "serial", irq }], irqchip: true })],
  [/debug_console0.*port/, (port) => ({ devices: [{ type: "debug_console", port }] })],
];

/** No place takes any of these; `null` is what JSON makes of NaN and Infinity. */
const NUMBERS = [-1, -4096, 0.5, 2 ** 52, 2 ** 53 - 1, 2 ** 53, 1e308, "x", {}];

onKvm("a number that cannot be is refused, with the key that has it", async () => {
  await using home = new HvshHome();
  const file = home.write("file", new Uint8Array(8192));
  const before = openVmFiles();
  for (const [name, place] of PLACES) {
    for (const value of NUMBERS) {
      const document = { vm: 1, memory: [RAM], boot: { flat: FLAT }, ...place(value, file) };
      const said = JSON.stringify(document);
      const error = await failure(document);
      assert.ok(error instanceof HvshError, `${said}: ${(error as Error)?.stack}`);
      assert.equal(error.exitStatus, 125);
      assert.match(error.message, name, said);
      assert.doesNotMatch(error.message, /\n|undefined|NaN/);
      assert.ok(error.message.length < 300, error.message);
    }
  }
  assert.deepEqual(openVmFiles(), before);
});

async function failure(document: Json): Promise<unknown> {
  try {
    // As a document comes: through JSON.
    const parsed = parseDocument(JSON.parse(JSON.stringify(document)), "a test");
    await using machine = await Machine.create(parsed);
    return `it is ${machine.state}`;
  } catch (error) {
    return error;
  }
}

onKvm("absurd memory is refused by run in words, at once and without taking it", async () => {
  await using home = new HvshHome();
  const document = (memory: unknown[]) => JSON.stringify({ vm: 1, memory, boot: { flat: FLAT } });
  const many = Array.from(
    { length: 5000 },
    (_, i) => ({ type: "ram", base: i * 8192, size: 4096 }),
  );
  const cases: [unknown[], RegExp][] = [
    [[{ type: "ram", size: 2 ** 50 }], /ENOMEM\)\n {2}try: the guest wants 1024T of memory/],
    [
      [{ ...RAM, size: 2 ** 44 }],
      /EINVAL\)\n {2}try: another address or size for the 16T at 0x0\n/,
    ],
    [
      [RAM, { ...RAM, base: 2 ** 52 }],
      /try: another address or size for the 1M at 0x10000000000000\n/,
    ],
    [many, /memory: it has 5000 regions, more than 509\n/],
    [[{ ...RAM, base: 2 ** 20 }], /needs memory up to 0x7c01/],
  ];
  for (const [memory, message] of cases) {
    const { status, stdout, stderr } = await home.run(["run"], document(memory));
    assert.deepEqual([status, stdout], [125, ""]);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /^ +at /m);
  }
});

onKvm("more CPUs than a machine has are refused, in a document and in words", async () => {
  await using home = new HvshHome();
  const inDocument = await home.run(
    ["run"],
    JSON.stringify({ vm: 1, cpus: 300, boot: { flat: FLAT } }),
  );
  assert.equal(inDocument.status, 125);
  assert.match(inDocument.stderr, /cpus: .*255.*300/);
  const inWords = await home.run(["run", "--cpus", "300", "--flat", home.write("halt", HALT)]);
  assert.equal(inWords.status, 2);
  assert.match(inWords.stderr, /Cannot make 300 CPUs: a machine has 1 to 255/);
});

onKvm(
  "a document may be large: megabytes of bytes to boot, keys nested far too deep",
  async () => {
    await using home = new HvshHome();
    const text = (data: string, more = "") =>
      `{"vm":1,"name":"big","memory":[{"type":"ram","size":"32M"}],` +
      `"boot":{"flat":{"images":[{"data":"${data}"}]}}${more}}`;
    const bytes = new Uint8Array(10_000_000);
    bytes[0] = HALT[0]!;
    const data = bytes.toBase64();
    const depth = 200_000;
    const deep = `,"x":${"[".repeat(depth)}${"]".repeat(depth)}`;
    assert.deepEqual(await home.run(["run"], text(data, deep)), {
      status: 0,
      stdout: "",
      stderr: "",
    });
    for (const broken of ["*", "A==="]) {
      const { status, stderr } = await home.run(["run"], text(broken));
      assert.equal(status, 125);
      assert.match(stderr, /boot\.flat\.images\.0\.data: is not base64/);
    }
  },
);

onKvm("a time limit longer than any timer is no limit of a moment", async () => {
  await using home = new HvshHome();
  const spin = home.write("spin", Uint8Array.of(0xeb, 0xfe));
  await using process = home.start(["run", "-n", "long", "--timeout", "30d", "--flat", spin]);
  while ((await home.run(["pause", "long"])).status !== 0);
  await home.run(["kill", "long"]);
  assert.deepEqual(await process.result(), { status: 137, stdout: "", stderr: "" });
});
