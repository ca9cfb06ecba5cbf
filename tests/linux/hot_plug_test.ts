import assert from "node:assert/strict";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { PlainServer } from "./plain_http.ts";

/** Nothing in here rescans a bus. */
const script = (port: number) => `
modprobe -a virtio_pci virtio_blk virtio_net
pause empty
until (: < /dev/vda) 2> /dev/null; do usleep 20000; done # its node is there before
say disk $(cat /sys/block/vda/size)
mount -t ext4 /dev/vda /mnt
say read $(cat /mnt/hello)
echo "from the guest" > /mnt/answer
umount /mnt
until [ -e /sys/class/net/eth0 ]; do usleep 20000; done
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 > /dev/null
say net $(wget -q -O - http://10.0.2.2:${port}/)
ip link set eth0 down
pause used
while [ -e /dev/vda ] || [ -e /sys/class/net/eth0 ]; do usleep 20000; done
say errors $(dmesg -r | grep -c "^<[0-3]>")
pause gone
`;

onNativeKvm("a guest takes a disk and a network card while it runs, and lets them go", async () => {
  await using home = new HvshHome();
  await using server = new PlainServer({ "/": "from the host" });
  home.write("hello", "a file of the host");
  const made = await home.line("mkdir tree && mv hello tree && mkfs.ext4 -q -d tree hot.img 8M");
  assert.equal(made.status, 0, made.stderr);
  await using guest = LinuxGuest.start(home, ["-n", "web"], script(server.port));
  const hvsh = async (...words: string[]) => {
    const { status, stdout, stderr } = await home.run(words);
    assert.deepEqual([status, stderr], [0, ""]);
    return stdout.trim();
  };
  await guest.said("empty");
  assert.equal(await hvsh("attach", "web", "disk", "hot.img"), '{"live":"web","device":"disk0"}');
  assert.equal(await hvsh("attach", "web", "net", "user"), '{"live":"web","device":"net0"}');
  await guest.go();
  await guest.said("used");
  await hvsh("detach-device", "web", "disk0");
  await hvsh("detach-device", "web", "net0");
  await guest.go();
  await guest.said("gone");
  const { stdout: left } = await home.run(["stat", "web"]);
  assert.doesNotMatch(left, /disk0|net0/);
  await guest.go();
  const said = await guest.end();
  assert.equal(said.one("disk"), "16384");
  assert.equal(said.one("read"), "a file of the host");
  assert.equal(said.one("net"), "from the host");
  assert.equal(said.one("errors"), "0");
  const answer = await home.line(
    "e2fsck -f -n hot.img > log 2>&1 && debugfs -R 'cat answer' hot.img",
  );
  assert.deepEqual([answer.status, answer.stdout], [0, "from the guest\n"]);
});
