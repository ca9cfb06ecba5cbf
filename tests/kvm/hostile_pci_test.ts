/** Guests that do with the PCI bus and virtio's registers what no driver would. */
import assert from "node:assert/strict";
import { Address, Port } from "../../vmm/board.ts";
import { Machine } from "../../vmm/machine.ts";
import { Structure } from "../../vmm/virtio/pci_capabilities.ts";
import { Common } from "../../vmm/virtio/pci_common.ts";
import { openFiles, openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { type RandomNumbers, randomNumbers } from "../ring_mutator.ts";
import { Script, SCRIPT_MEMORY, scriptDocument, type ScriptWidth } from "../script_guest.ts";
import { barOf, ecam, placeBars, prove, startPci } from "../script_virtio.ts";
import { VirtioEntries } from "../virtio_entries.ts";

const DEADLINE = 180_000;
const DONE = 42;
const COMMAND = 0x04;
/** I/O and memory; and bus mastering. */
const DECODED = 3;
const MASTER = 4;
const BAR0 = 0x10;
/** What no used ring has got to. */
const MARK = 0x7777;
const SLOTS = [1, 2, 3, 4, 5, 6, 7] as const;

/**
 * Plays a script to a machine with every virtio device on the PCI bus, slots 1 to 7 in the order of
 * `VirtioEntries`, and a source of random numbers over MMIO.
 */
async function play(make: (script: Script, kinds: readonly string[]) => void): Promise<void> {
  await using entries = new VirtioEntries();
  const ours = () => [
    ...openVmFiles(),
    ...openFiles().filter((target) => target.includes("hvsh test")),
  ];
  const before = ours();
  const devices = entries.all();
  const script = new Script();
  make(script, devices.map(({ type }) => type));
  script.exit(DONE);
  {
    const all = [{ type: "serial" }, ...devices, { type: "rng", transport: "mmio" }];
    await using machine = await Machine.create(scriptDocument(script, all));
    let stuck: unknown;
    const late = setTimeout(() => {
      stuck = machine.stats(); // which device is the first that did not come to its last reset
      void machine.stop("timeout");
    }, DEADLINE);
    machine.start();
    const { kind, status, fault } = await machine.ended.finally(() => clearTimeout(late));
    assert.deepEqual([kind, status], ["exit", DONE], JSON.stringify(fault ?? stuck));
  }
  assert.deepEqual(ours(), before);
}

/** Each device answers a request, after a reset. */
function proveAll(script: Script, kinds: readonly string[]): void {
  prove(script, { mmio: 0 }, "rng", 0);
  // All of them first: where BARs lie over one another, a notification is only one device's.
  for (const slot of SLOTS) placeBars(script, slot);
  for (const slot of SLOTS) prove(script, { slot }, kinds[slot - 1]!, slot);
}

/** Any width, any alignment. */
function anyPlace(random: RandomNumbers): number {
  const { below, pick } = random;
  const slot = below(10);
  return barOf(slot) + pick([
    below(0x40),
    0x1000 + below(4),
    0x2000 + below(0x140),
    0x3000 + below(0x100),
    0x8000 + below(0x140),
    0x8800 + below(16),
    below(0x1_0000),
  ]);
}

/** Addresses where a BAR has no business, and where it has. */
const PLACES = [
  0,
  0x10_0000,
  0x20_0000,
  Address.LOW_RAM_END - 0x4000,
  Address.PCI_WINDOW_END - 0x1000,
  Address.PCI_WINDOW_END - 0x4000,
  Address.ECAM,
  Address.VIRTIO_MMIO,
  Address.IOAPIC,
  Address.LAPIC,
  0xffff_c000,
  0xffff_ffff,
];

function anyValue({ below, pick }: RandomNumbers): number {
  return pick([
    below(2 ** 32),
    below(16),
    0,
    0xffff_ffff,
    1 << below(31),
    barOf(below(10)),
    barOf(below(8), 1),
    pick(PLACES),
  ]);
}

/** Accesses to configuration space both ways, and to what the BARs hold. */
function scribble(script: Script, random: RandomNumbers, count: number): void {
  const { below, pick } = random;
  const widths: readonly ScriptWidth[] = [1, 2, 4, 8];
  for (let i = 0; i < count; i++) {
    const [width, slot] = [pick(widths), below(10)];
    const register = pick([below(0x40), below(0x100), below(0x1000)]);
    switch (below(8)) {
      case 0:
        script.write(2, ecam(slot, COMMAND), pick([7, 6, 0x406, below(0x1_0000)]));
        break;
      case 1:
        script.write(4, ecam(slot, BAR0 + 4 * below(6)), anyValue(random));
        break;
      case 2:
        script.write(width, ecam(slot, register), anyValue(random));
        break;
      case 3:
        script.read(width, ecam(slot, register));
        break;
      case 4: {
        const narrow = pick([1, 2, 4] as const);
        script.out(4, Port.PCI_CONFIG, 0x8000_0000 + (slot << 11) + (register & 0xfc));
        script.out(narrow, Port.PCI_CONFIG + 4 + below(4), anyValue(random));
        script.in(narrow, Port.PCI_CONFIG + below(8));
        break;
      }
      case 5:
        script.read(width, anyPlace(random));
        break;
      case 6:
        placeBars(script, 1 + below(7));
        break;
      default: {
        // Messages of the kinds that a CPU can't refuse would end the guest that sends them itself.
        const [place, value] = [anyPlace(random), anyValue(random)];
        const msix = place % 0x1_0000 >= 0x8000;
        script.write(width, place, msix ? (value & 0xf8f8_f8f8) >>> 0 : value);
      }
    }
  }
}

onKvm("every virtio device answers a guest of register accesses", () => play(proveAll));

for (const seed of [1, 20_070, 3_141_592]) {
  onKvm(`scribbles over configuration space and BARs harm nobody, seed ${seed}`, async () => {
    await play((script, kinds) => {
      const random = randomNumbers(seed);
      for (let round = 0; round < 4; round++) {
        for (const slot of SLOTS) {
          placeBars(script, slot);
          startPci(script, slot, random.below(2), 8 + slot);
        }
        scribble(script, random, 5000);
        proveAll(script, kinds);
      }
    });
  });
}

onKvm(
  "decoding that is switched off and on, 1000 times with eventfds attached, loses nothing",
  async () => {
    await play((script, kinds) => {
      for (const slot of SLOTS) {
        placeBars(script, slot);
        startPci(script, slot, 0, 8 + slot);
      }
      script.repeat(1000, () => {
        for (const slot of [1, 2]) {
          for (const command of [0, 7]) script.write(2, ecam(slot, COMMAND), command);
        }
      });
      proveAll(script, kinds);
    });
  },
);

onKvm(
  "BARs over one another, over RAM, and over what the board has, leave these alone",
  async () => {
    await play((script, kinds) => {
      proveAll(script, kinds);
      script.repeat(20, () => {
        for (const place of [...PLACES, ...SLOTS.map((slot) => barOf(slot))]) {
          for (const slot of [1, 2, 3]) {
            script.write(4, ecam(slot, BAR0), place);
            script.write(4, ecam(slot, BAR0 + 4), place);
          }
          // What is RAM stays RAM.
          script.write(4, SCRIPT_MEMORY.base + 0x14, 0x1234);
          script.until(SCRIPT_MEMORY.base + 0x14, 0x1234);
          prove(script, { mmio: 0 }, "rng", 0);
        }
      });
      // Two that run at one place, and leave it one after the other.
      placeBars(script, 1);
      placeBars(script, 2);
      startPci(script, 1, 0, 9);
      startPci(script, 2, 0, 10);
      script.write(4, ecam(2, BAR0), barOf(1));
      script.write(2, barOf(1) + 0x3000, 0);
      script.write(4, ecam(1, BAR0), barOf(2));
      script.write(2, barOf(1) + 0x3000, 0);
      script.write(2, barOf(2) + 0x3000, 0);
      proveAll(script, kinds);
    });
  },
);

onKvm(
  "10,000 resets of each device, some with requests under way, leave devices that work",
  async () => {
    await play((script, kinds) => {
      for (const slot of SLOTS) {
        placeBars(script, slot);
        script.repeat(10_000, () => script.write(1, barOf(slot) + Common.DEVICE_STATUS, 0));
        script.repeat(100, () => {
          prove(script, { slot }, kinds[slot - 1]!, slot, { wait: false });
        });
      }
      proveAll(script, kinds);
    });
  },
);

onKvm(
  "devices that are bus masters no more, some with requests under way, leave memory alone until their reset",
  async () => {
    await play((script, kinds) => {
      for (const slot of SLOTS) {
        placeBars(script, slot);
        const usedIdx = SCRIPT_MEMORY.base + slot * 0x1000 + 0x202;
        script.repeat(100, () => {
          prove(script, { slot }, kinds[slot - 1]!, slot, { wait: false });
          script.write(2, ecam(slot, COMMAND), DECODED);
          script.write(2, usedIdx, MARK);
          script.write(2, ecam(slot, COMMAND), DECODED | MASTER);
          for (let queue = 0; queue < 2; queue++) {
            script.write(2, barOf(slot) + Structure.NOTIFY + 4 * queue, queue);
          }
          for (let i = 0; i < 20; i++) script.read(1, barOf(slot) + Common.DEVICE_STATUS);
          script.until(usedIdx, MARK);
        });
      }
      proveAll(script, kinds);
    });
  },
);
