/**
 * A script's own virtio driver: sets a device up from whatever state it is in, makes one request of
 * one queue, and waits for the answer.
 *
 * @module
 */
import { Address } from "../vmm/board.ts";
import { Mmio } from "../vmm/virtio/mmio_transport.ts";
import { Structure } from "../vmm/virtio/pci_capabilities.ts";
import { Common } from "../vmm/virtio/pci_common.ts";
import { blockHeader } from "./block_guest.ts";
import { type Script, SCRIPT_MEMORY, type ScriptWidth } from "./script_guest.ts";

const PAGE = 0x1000;
const QUEUE_SIZE = 8;
const COMMAND = 0x04;
const BAR = [0x10, 0x14] as const;
/** I/O, memory and bus mastering. */
const ALL_DECODED = 7;
const STATUS = [1, 3, 11, 15] as const;
const WRITE = 2;

/** A register of configuration space, as ECAM has it. */
export function ecam(slot: number, register: number): number {
  return Address.ECAM + (slot << 15) + register;
}

/** Where a script puts the BARs of a slot's virtio device. */
export function barOf(slot: number, index: 0 | 1 = 0): number {
  return Address.PCI_WINDOW + slot * 0x1_0000 + index * 0x8000;
}

/** Puts a slot's BARs to their places, and has them decoded. */
export function placeBars(script: Script, slot: number): void {
  for (const index of [0, 1] as const) script.write(4, ecam(slot, BAR[index]), barOf(slot, index));
  script.write(2, ecam(slot, COMMAND), ALL_DECODED);
}

/** A request: its queue, what the device reads, how much it writes. */
export type ScriptRequest = readonly [queue: number, read: Uint8Array[], write: number[]];

/** A request that every device of a kind answers. */
export const PROOFS: Readonly<Record<string, ScriptRequest>> = {
  rng: [0, [], [64]],
  disk: [0, [blockHeader(0, 1)], [512, 1]],
  net: [1, [new Uint8Array(12), new Uint8Array(60)], []],
  console: [1, [Uint8Array.of(0x2e)], []],
  balloon: [0, [Uint8Array.of(0, 8, 0, 0)], []],
  share: [1, [fuseInit()], [16, 200]],
  vsock: [1, [vsockReset()], []],
};

/** How a device is reached. */
export type ScriptPlace = { readonly slot: number } | { readonly mmio: number };

/** The steps of a driver by one transport's registers. */
interface Steps {
  status(value: number): void;
  chooseVersion1(): void;
  enable(queue: number, desc: number, avail: number, used: number): void;
  kick(queue: number): void;
}

/**
 * Resets a device and has it answer one request.
 *
 * @param script Where the steps go
 * @param place The device's place
 * @param kind Its word in the document, or the request
 * @param memory Which page of the script's memory to use
 * @param options `wait` for the answer; default true
 * @returns Where the last byte of its answer is, and a zero behind that
 */
export function prove(
  script: Script,
  place: ScriptPlace,
  kind: string | ScriptRequest,
  memory: number,
  { wait = true } = {},
): number {
  const [queue, read, write] = typeof kind === "string" ? PROOFS[kind]! : kind;
  const steps = "slot" in place ? pciSteps(script, place.slot) : mmioSteps(script, place.mmio);
  const desc = SCRIPT_MEMORY.base + memory * PAGE;
  const [avail, used, data] = [desc + 0x100, desc + 0x200, desc + 0x300];
  start(script, steps, queue, memory);
  const pieces = [
    ...read.map((bytes) => ({ bytes, length: bytes.length, flags: 0 })),
    ...write.map((length) => ({ bytes: new Uint8Array(0), length, flags: WRITE })),
  ];
  let at = data;
  for (const [i, { bytes, length, flags }] of pieces.entries()) {
    bytes.forEach((byte, offset) => script.write(1, at + offset, byte));
    script.write(8, desc + 16 * i, at);
    script.write(4, desc + 16 * i + 8, length);
    script.write(2, desc + 16 * i + 12, flags | (i + 1 < pieces.length ? 1 : 0));
    script.write(2, desc + 16 * i + 14, i + 1);
    at += length;
  }
  if (write.length > 0) script.write(2, at - 1, 0xff);
  script.write(2, avail + 4, 0);
  script.write(2, avail + 2, 1);
  steps.kick(queue);
  if (wait) script.until(used + 2, 1);
  return at - 1;
}

/** Resets a device of the PCI bus and brings it to DRIVER_OK with one queue, of the same memory. */
export function startPci(script: Script, slot: number, queue: number, memory: number): void {
  start(script, pciSteps(script, slot), queue, memory);
}

function start(script: Script, steps: Steps, queue: number, memory: number): void {
  const desc = SCRIPT_MEMORY.base + memory * PAGE;
  steps.status(0);
  for (let at = 0x100; at < 0x300; at += 8) script.write(8, desc + at, 0);
  for (const status of STATUS.slice(0, 2)) steps.status(status);
  steps.chooseVersion1();
  steps.status(STATUS[2]);
  steps.enable(queue, desc, desc + 0x100, desc + 0x200);
  steps.status(STATUS[3]);
}

function pciSteps(script: Script, slot: number): Steps {
  const base = barOf(slot);
  const set = (register: number, width: ScriptWidth, value: number) =>
    script.write(width, base + Structure.COMMON + register, value);
  return {
    status: (value) => set(Common.DEVICE_STATUS, 1, value),
    chooseVersion1() {
      for (const word of [0, 1]) {
        set(Common.DRIVER_FEATURE_SELECT, 4, word);
        set(Common.DRIVER_FEATURE, 4, word);
      }
    },
    enable(queue, ...rings) {
      set(Common.QUEUE_SELECT, 2, queue);
      set(Common.QUEUE_SIZE, 2, QUEUE_SIZE);
      [Common.QUEUE_DESC, Common.QUEUE_DRIVER, Common.QUEUE_DEVICE].forEach((register, i) => {
        set(register, 4, rings[i]!);
        set(register + 4, 4, 0);
      });
      set(Common.QUEUE_ENABLE, 2, 1);
    },
    kick: (queue) => script.write(2, base + Structure.NOTIFY + 4 * queue, queue),
  };
}

function mmioSteps(script: Script, index: number): Steps {
  const base = Address.VIRTIO_MMIO + index * PAGE;
  const set = (register: number, value: number) => script.write(4, base + register, value);
  return {
    status: (value) => set(Mmio.STATUS, value),
    chooseVersion1() {
      for (const word of [0, 1]) {
        set(Mmio.DRIVER_FEATURES_SEL, word);
        set(Mmio.DRIVER_FEATURES, word);
      }
    },
    enable(queue, ...rings) {
      set(Mmio.QUEUE_SEL, queue);
      set(Mmio.QUEUE_NUM, QUEUE_SIZE);
      [Mmio.QUEUE_DESC_LOW, Mmio.QUEUE_DRIVER_LOW, Mmio.QUEUE_DEVICE_LOW].forEach((register, i) => {
        set(register, rings[i]!);
        set(register + 4, 0);
      });
      set(Mmio.QUEUE_READY, 1);
    },
    kick: (queue) => set(Mmio.QUEUE_NOTIFY, queue),
  };
}

/** A FUSE_INIT message. */
function fuseInit(): Uint8Array {
  const message = new DataView(new ArrayBuffer(56));
  [56, 26, 77].forEach((word, i) => message.setUint32(4 * i, word, true));
  [7, 38, 0x2_0000, 0].forEach((word, i) => message.setUint32(40 + 4 * i, word, true));
  return new Uint8Array(message.buffer);
}

/** A packet that needs no answer: a reset of a connection that there isn't. */
function vsockReset(): Uint8Array {
  const packet = new DataView(new ArrayBuffer(44));
  packet.setUint32(0, 42, true);
  packet.setUint32(8, 2, true);
  packet.setUint16(28, 1, true);
  packet.setUint16(30, 3, true);
  return new Uint8Array(packet.buffer);
}
