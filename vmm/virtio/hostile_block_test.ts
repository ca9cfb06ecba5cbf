/**
 * Block requests whose chains are wrong: what has a place for its status gets an error there, what has
 * none needs a reset. What is wrong inside a header is in `disk_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BlockGuest, blockHeader } from "../../tests/block_guest.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { DescFlag, type Descriptor } from "../../tests/virtio_driver.ts";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import { disk } from "./disk.ts";
import { BlkStatus, BlkType } from "./disk/protocol.ts";
import { Status } from "./status.ts";

const END = 16 * 2 ** 20;
const HEADER = 0x1000;
const DATA = 0x2000;
const STATUS = 0x4000;
const { WRITE } = DescFlag;
const header = { address: HEADER, length: 16 };
const data = { address: DATA, length: 512, flags: WRITE };
const status = { address: STATUS, length: 1, flags: WRITE };

/** Chains without a place for the status, or that are no chains. */
const REFUSED: readonly [string, readonly Descriptor[]][] = [
  ["a status that is readable", [header, { ...data, flags: 0 }, { ...status, flags: 0 }]],
  ["no status", [header]],
  ["a header and nothing to write but empty descriptors", [header, { ...status, length: 0 }]],
  ["a status that is not mapped", [header, data, { ...status, address: END }]],
  ["a status in a hole", [header, data, { ...status, address: 2 ** 40 }]],
  ["data that is not mapped", [header, { ...data, address: END - 511 }, status]],
  ["a header that is not mapped", [{ ...header, address: 2 ** 63 }, data, status]],
  ["a header behind the data", [data, header, status]],
  ["a status between header and data", [status, header, data]],
];

/** Chains with a place for the status. */
const FAILED: readonly [string, readonly Descriptor[]][] = [
  ["a header that is writable", [{ ...header, flags: WRITE }, data, status]],
  ["a header of 15 bytes", [{ ...header, length: 15 }, data, status]],
  ["no header", [status]],
  ["no data", [header, status]],
  ["data of 511 bytes", [header, { ...data, length: 511 }, status]],
  ["a read into a readable buffer", [header, { ...data, flags: 0 }, status]],
];

for (const transport of TRANSPORTS) {
  for (const engine of ["io_uring", "preadv"]) {
    const open = async (work: (vm: VirtioMachine, guest: BlockGuest) => Promise<void>) => {
      await using folder = new TestFolder();
      const path = folder.write("disk", new Uint8Array(0x1_0000).fill(0x5a));
      await using vm = await VirtioMachine.open(disk, { path, engine }, { transport });
      vm.memory.write(HEADER, blockHeader(BlkType.IN, 1));
      await work(vm, new BlockGuest(vm));
      assert(vm.guarded.intact);
      assert(Deno.readFileSync(path).every((byte) => byte === 0x5a));
    };
    const give = (vm: VirtioMachine, pieces: readonly Descriptor[]) => {
      pieces.forEach((piece, i) =>
        vm.driver(0).setDescriptor(i, piece, i + 1 < pieces.length ? i + 1 : undefined)
      );
      vm.driver(0).makeAvailable(0);
      vm.kick(0);
    };

    Deno.test(`${transport}, ${engine}: what can't be answered needs a reset, each time`, () =>
      open(async (vm, guest) => {
        for (const [i, [name, pieces]] of REFUSED.entries()) {
          give(vm, pieces);
          await vm.until(() => (vm.status & Status.DEVICE_NEEDS_RESET) !== 0);
          assert.equal(vm.stats.needs_resets, i + 1, name);
          vm.reset();
          vm.start();
          assert.equal((await guest.read(1, 1))[0], 0x5a, name);
        }
        assert.deepEqual(vm.events.map(({ kind, count }) => [kind, count]), [
          ["needs-reset", 1],
          ["needs-reset", 2],
          ["needs-reset", 4],
          ["needs-reset", 8],
        ]);
      }));

    Deno.test(`${transport}, ${engine}: what can be answered gets an error, and nothing else`, () =>
      open(async (vm) => {
        for (const [name, pieces] of FAILED) {
          const { usedIdx } = vm.driver(0);
          vm.memory.bytes(DATA, 512).fill(1);
          vm.memory.write(STATUS, Uint8Array.of(0xff));
          give(vm, pieces);
          await vm.until(() => vm.driver(0).usedIdx === usedIdx + 1);
          assert.equal(vm.memory.read(STATUS, 1)[0], BlkStatus.IOERR, name);
          assert(vm.memory.bytes(DATA, 512).every((byte) => byte === 1), name);
        }
        assert.equal(vm.events.length, 0);
        vm.reset();
        vm.start();
        assert.equal((await new BlockGuest(vm).read(1, 1))[0], 0x5a);
      }));
  }
}
