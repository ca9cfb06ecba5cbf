import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { HvshError } from "../../ffi/errors.ts";
import { BOMBS } from "../sample_bombs.ts";
import { joined, patterned, sampleBzImage, sampleElf, sampleMultiboot } from "../sample_images.ts";
import { parseDocument, type VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const MIB = 2 ** 20;
const MEMORY = [{ type: "ram", size: 4 * MIB }];

const code = patterned(0x400);
const vmlinux = sampleElf(64, BigInt(MIB), [{ vaddr: BigInt(MIB), paddr: MIB, data: code }]);
const payload = new Uint8Array(gzipSync(vmlinux));
const bzImage = sampleBzImage(payload, { payload_length: payload.length });

/** What each flag of `run` boots, whole. */
const IMAGES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  kernel: bzImage,
  elf: vmlinux,
  multiboot: sampleMultiboot(code),
  firmware: patterned(4096),
  flat: patterned(512),
};

/** `image` with a little-endian number of 1, 2, 4 or 8 bytes changed. */
function lying(image: Uint8Array, at: number, width: number, value: bigint): Uint8Array {
  const copy = image.slice();
  for (let i = 0; i < width; i++) copy[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return copy;
}

/** Header fields that say where things are and how long, by their offset and width. */
const FIELDS: readonly [image: string, at: number, width: number, name: string][] = [
  ["kernel", 0x1f1, 1, "setup_sects"],
  ["kernel", 0x1f4, 4, "syssize"],
  ["kernel", 0x206, 2, "version"],
  ["kernel", 0x214, 4, "code32_start"],
  ["kernel", 0x22c, 4, "initrd_addr_max"],
  ["kernel", 0x230, 4, "kernel_alignment"],
  ["kernel", 0x238, 4, "cmdline_size"],
  ["kernel", 0x248, 4, "payload_offset"],
  ["kernel", 0x24c, 4, "payload_length"],
  ["kernel", 0x258, 8, "pref_address"],
  ["kernel", 0x260, 4, "init_size"],
  ["kernel", bzImage.length - 4, 4, "the payload's size"],
  ["elf", 0x18, 8, "e_entry"],
  ["elf", 0x20, 8, "e_phoff"],
  ["elf", 0x36, 2, "e_phentsize"],
  ["elf", 0x38, 2, "e_phnum"],
  ["elf", 0x48, 8, "p_offset"],
  ["elf", 0x58, 8, "p_paddr"],
  ["elf", 0x60, 8, "p_filesz"],
  ["elf", 0x68, 8, "p_memsz"],
  ["multiboot", 0x0c, 4, "header_addr"],
  ["multiboot", 0x10, 4, "load_addr"],
  ["multiboot", 0x14, 4, "load_end_addr"],
  ["multiboot", 0x18, 4, "bss_end_addr"],
  ["multiboot", 0x1c, 4, "entry_addr"],
];

/** The loaders' own tests try more; here each costs a machine. */
const LIES = [1n, 0x7fff_ffffn, 2n ** 64n - 1n];

function documentOf(image: string, path: string): VmDocument {
  const boots: Record<string, unknown> = {
    kernel: { kernel: { path }, cmdline: "quiet" },
    unpacked: { kernel: { path, unpack: false } },
    elf: { kernel: { path } },
    multiboot: { multiboot: { path } },
    firmware: { firmware: { path } },
    flat: { flat: { images: [{ path }] } },
  };
  return parseDocument({ vm: 1, memory: MEMORY, boot: boots[image] }, "a test");
}

/** Makes a machine, and runs it if it can be made; an error says what is wrong with which file. */
async function attempt(image: string, path: string): Promise<void> {
  try {
    await using machine = await Machine.create(documentOf(image, path));
    machine.start();
    await machine.stop();
  } catch (error) {
    assert.ok(error instanceof HvshError, String((error as Error).stack));
    assert.equal(error.exitStatus, 125);
    assert.ok(error.message.startsWith(path), error.message);
    assert.doesNotMatch(error.message, /\n|undefined|NaN/);
  }
}

onKvm(
  "an image whose length or address fields lie is refused with its path, or runs as it is",
  async () => {
    await using home = new HvshHome();
    const before = openVmFiles();
    for (const [image, at, width, name] of FIELDS) {
      for (const lie of LIES.map((lie) => BigInt.asUintN(8 * width, lie))) {
        const path = home.write(`${image} ${name}`, lying(IMAGES[image]!, at, width, lie));
        await attempt(image, path);
        if (image === "kernel") await attempt("unpacked", path);
      }
    }
    assert.deepEqual(openVmFiles(), before);
  },
);

onKvm("an image that is cut off anywhere, or empty, is refused, or runs as it is", async () => {
  await using home = new HvshHome();
  for (const [image, bytes] of Object.entries(IMAGES)) {
    const lengths = [0, 1, 0x34, 0x78, 0x202, 0x268, 0x5ff];
    for (const length of [...lengths, bytes.length - 1]) {
      await attempt(image, home.write(`cut ${image}`, bytes.subarray(0, length)));
    }
  }
});

onKvm("an image with anything in its first bytes is refused, or runs as it is", async () => {
  await using home = new HvshHome();
  const change = fc.record({
    image: fc.constantFrom("kernel", "unpacked", "elf", "multiboot", "flat"),
    at: fc.oneof(fc.nat(0x80), fc.integer({ min: 0x1f0, max: 0x268 })),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ image, at, bytes }) => {
      const mutant = IMAGES[image === "unpacked" ? "kernel" : image]!.slice();
      mutant.set(bytes.subarray(0, Math.max(0, mutant.length - at)), Math.min(at, mutant.length));
      await attempt(image, home.write("mutant", mutant));
    }),
    { numRuns: 25 },
  );
});

onKvm("hvsh run says in words what is wrong with an image", async () => {
  await using home = new HvshHome();
  const bomb = joined(BOMBS.zstd!(), new Uint8Array(Uint32Array.of(MIB).buffer));
  const cases: [flag: string, Uint8Array, RegExp][] = [
    ["--kernel", lying(bzImage, 0x1f1, 1, 200n), /setup_sects \(byte 0x1f1\) asks for/],
    ["--kernel", lying(vmlinux, 0x60, 8, 2n ** 63n), /p_filesz of program header 0 \(byte 0x60\)/],
    ["--kernel", lying(vmlinux, 0x58, 8, 2n ** 52n), /would end at 0x10000000000400/],
    ["--multiboot", lying(IMAGES.multiboot!, 0x14, 4, 0xffff_ffffn), /load_end_addr/],
    ["--firmware", new Uint8Array(4097), /firmware has 4097 bytes/],
    ["--firmware", new Uint8Array(), /firmware has 0 bytes/],
    ["--flat", new Uint8Array(5 * MIB), /needs memory up to .*\n {2}try: hvsh create -m 6M/],
    ["--flat", new Uint8Array(), /the image is empty/],
    [
      "--kernel",
      sampleBzImage(bomb, { payload_length: bomb.length }),
      /zstd gives more than the 1048576 bytes allowed/,
    ],
  ];
  for (const [flag, bytes, message] of cases) {
    home.write("image", bytes);
    const { status, stdout, stderr } = await home.run(["run", "-m", "4M", flag, "image"]);
    assert.deepEqual([status, stdout], [125, ""], stderr);
    assert.match(stderr, message);
    assert.match(stderr, /^hvsh run: \S*image/);
    assert.doesNotMatch(stderr, /^ +at /m);
  }
});

onKvm("an initial RAM disk is any bytes; one that has no room is refused", async () => {
  await using home = new HvshHome();
  const kernel = home.write("vmlinux", vmlinux);
  const run = (initrd: string) =>
    home.run(["run", "-m", "4M", "--timeout", "100ms", "--kernel", kernel, "--initrd", initrd]);
  for (const bytes of [new Uint8Array(), Uint8Array.of(0x30), patterned(5000)]) {
    const { stderr } = await run(home.write("initrd", bytes));
    assert.doesNotMatch(stderr, /initrd/);
  }
  const large = await run(home.write("initrd", new Uint8Array(3 * MIB)));
  assert.equal(large.status, 125);
  assert.match(
    large.stderr,
    /initrd: the initial RAM disk needs memory.*\n {2}try: hvsh create -m/,
  );
  for (
    const [path, reason] of [[home.folder, "not a file"], ["/dev/zero", "not a file"], [
      "none",
      "no such file",
    ]]
  ) {
    const { status, stderr } = await run(path!);
    assert.equal(status, 125);
    assert.match(stderr, new RegExp(`${path}.* ${reason}`));
  }
});
