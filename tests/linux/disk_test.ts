import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const MIB = 2 ** 20;
/** What the guest writes, and where. */
const LENGTH = 2 * MIB;
const OFFSET = 3 * MIB;
const DISKS = ["raw", "read", "forgotten", "kept", "qcow2", "memory"] as const;
const WRITTEN = DISKS.filter((name) => name !== "read");

const SCRIPT = `
modprobe -a virtio_pci virtio_blk
disk() { basename $(dirname $(grep -lx "$1" /sys/block/*/serial)); }
head -c ${LENGTH} /dev/urandom > /tmp/random
say random $(md5sum < /tmp/random)
for name in ${DISKS.join(" ")}; do
  disk=$(disk $name)
  say $name $(cat /sys/block/$disk/size) $(cat /sys/block/$disk/ro) $(ls /sys/block/$disk/mq | wc -l)
done
for name in ${WRITTEN.join(" ")}; do
  disk=/dev/$(disk $name)
  dd if=/tmp/random of=$disk bs=1M seek=3 oflag=direct conv=fsync 2> /dev/null
  say back $(dd if=$disk bs=1M skip=3 count=2 iflag=direct 2> /dev/null | md5sum)
  probe disk $disk read random 4096 32 0.2 > /dev/null
  probe disk $disk read sequential 1048576 2 0.2 > /dev/null
done
say refused $(dd if=/tmp/random of=/dev/$(disk read) 2>&1 | head -n 1)
raw=$(disk raw)
blkdiscard -o 8M -l 4M /dev/$raw
say discarded $(dd if=/dev/$raw bs=1M skip=8 count=4 iflag=direct 2> /dev/null | tr -d '\\000' | wc -c)
pause resize
until [ $(cat /sys/block/$raw/size) -eq ${48 * MIB / 512} ]; do usleep 20000; done
dd if=/tmp/random of=/dev/$raw bs=1M seek=46 oflag=direct 2> /dev/null
say resized
`;

onNativeKvm(
  "raw, read-only, copied on write, a qcow2 of qemu-nbd's, memory of nbdkit's: a guest's disks hold what they should",
  async () => {
    await using home = new HvshHome();
    await using cleanUp = new AsyncDisposableStack();
    const base = new Uint8Array(16 * MIB).fill(0x62);
    for (const name of ["raw", "base", "read"]) home.write(name, base);
    const served = await home.line(
      "exec > /dev/null 2>&1; qemu-img create -f qcow2 qcow2 16M && " +
        'qemu-nbd --fork --pid-file=q.pid -k "$PWD/q.sock" -f qcow2 --discard unmap qcow2 && ' +
        'nbdkit -P n.pid -U "$PWD/n.sock" memory 16M',
    );
    // qemu-nbd ends with its first client, if it had one.
    cleanUp.defer(async () => void await home.line("kill $(cat n.pid) $(cat q.pid)"));
    assert.equal(served.status, 0);

    const disks = [
      "raw --name raw --queues 2",
      "read --name read --readonly",
      "base --name forgotten --overlay temporary",
      "base --name kept --overlay kept",
      "unix:q.sock --name qcow2",
      "unix:n.sock --name memory",
    ];
    await using guest = LinuxGuest.start(home, [
      ...["-n", "web", "--cpus", "2"],
      ...disks.flatMap((disk) => ["--disk", disk]),
    ], SCRIPT);
    await guest.said("resize");
    const { status, stderr } = await home.run(["ctl", "web", "raw", "resize", "48M"]);
    assert.deepEqual([status, stderr], [0, ""]);
    await guest.go();
    const said = await guest.end();

    for (const name of DISKS) {
      const queues = name === "raw" ? 2 : 1;
      const readonly = name === "read" ? 1 : 0;
      assert.equal(said.one(name), `${16 * MIB / 512} ${readonly} ${queues}`, name);
    }
    const sum = said.one("random");
    assert.deepEqual(said.all("back"), WRITTEN.map(() => sum));
    assert.match(said.one("refused"), /not permitted/);
    assert.equal(said.one("discarded"), "0");

    const file = (name: string) => Deno.readFileSync(`${home.folder}/${name}`);
    const sumOf = (bytes: Uint8Array) => `${createHash("md5").update(bytes).digest("hex")} -`;
    const written = (image: Uint8Array) => sumOf(image.subarray(OFFSET, OFFSET + LENGTH));
    const raw = file("raw");
    assert.equal(raw.length, 48 * MIB);
    assert.equal(written(raw), sum);
    assert.equal(sumOf(raw.subarray(46 * MIB)), sum);
    assert.ok(raw.subarray(8 * MIB, 12 * MIB).every((byte) => byte === 0));
    assert.ok(raw.subarray(0, OFFSET).every((byte) => byte === 0x62));
    assert.deepEqual(sumOf(file("base")), sumOf(base));
    assert.deepEqual(sumOf(file("read")), sumOf(base));
    // qemu-nbd holds a lock on its image for as long as it takes to end.
    await home.line('while kill -0 "$(cat q.pid)"; do sleep 0.02; done 2> /dev/null');
    const converted = await home.line("qemu-img convert -f qcow2 -O raw qcow2 converted");
    assert.deepEqual([converted.status, converted.stderr], [0, ""]);
    assert.equal(written(file("converted")), sum);
  },
  ["qemu-nbd", "qemu-img", "nbdkit"],
);
