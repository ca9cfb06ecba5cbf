import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { plainGet, PlainServer } from "./plain_http.ts";

const TEXT = "from the host\n";
const LARGE = new Uint8Array(1_000_000).map((_, n) => n * n >> 7);
const LARGE_SUM = createHash("md5").update(LARGE).digest("hex");
/** What a guest's clock may be off by: its RTC, which it was set by, counts whole seconds. */
const CLOCK_SECONDS = 2;
/** Files that the guest is to have written before it is moved. */
const FILES = 5;

/** A port that nobody listens on now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Runs a program of the host; its status and what it said. */
async function tool(...[program, ...args]: [string, ...string[]]) {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, said: text(stdout) + text(stderr) };
}

/** What works, is moved, and works again. */
const SCRIPT = (port: number) => `
modprobe -a virtio_pci virtio_blk virtio_net virtiofs virtio-rng
mkdir /www /disk /share
mount -t virtiofs given /share
exec 7< /share/lines 8> /share/written
read -r line <&7
say before $line
echo before >&8
echo "from the guest" > /www/index.html
mount -t ext4 /dev/vda /disk
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 > /dev/null
httpd -p 80 -h /www
reach() {
  say text $(wget -q -O - http://10.0.2.2:${port}/text)
  say large $(wget -q -O - http://10.0.2.2:${port}/large | md5sum)
}
reach
write() {
  n=0
  while [ ! -e /stop ]; do
    head -c 20000 /dev/urandom > /disk/new
    md5sum < /disk/new > /disk/new.sum
    mv /disk/new /disk/file$n
    mv /disk/new.sum /disk/sum$n
    n=$((n + 1))
    usleep 20000
    say file $n
  done
  say files $n
}
write &
pause moved
say cpus $(nproc)
read -r line <&7
say after $line
echo after >&8
exec 8>&-
echo new > /share/new
say random $(head -c 16 /dev/hwrng | wc -c) $(cat /sys/class/misc/hw_random/rng_current)
say date $(date +%s)
reach
pause serving
touch /stop
wait
umount /disk
say clean
`;

onNativeKvm(
  "a Linux guest goes on from a snapshot: its clock right, its disk clean, its network up",
  async () => {
    await using home = new HvshHome();
    const disk = join(home.folder, "disk.img");
    const made = await tool("mkfs.ext4", "-q", disk, "128M");
    assert.equal(made.code, 0, made.said);
    await using server = new PlainServer({ "/text": TEXT, "/large": LARGE });
    const port = freePort();
    Deno.mkdirSync(join(home.folder, "given"));
    home.write("given/lines", "first\nsecond\n");
    let console: string;
    {
      await using guest = LinuxGuest.start(home, [
        ...["-n", "web", "--cpus", "2", "--disk", disk, "--rng", ""],
        ...[
          "--net",
          `user --forward tcp:${port}:80`,
          "--share",
          `${home.folder}/given:given --writable`,
        ],
      ], SCRIPT(server.port));
      await guest.said("moved");
      await guest.until((console) => console.includes(`@file ${FILES}\r`));
      const { status, stderr } = await home.run(["snapshot", "web", "--stop", "-o", "web.tar"]);
      assert.deepEqual([status, stderr], [0, ""]);
      await guest.ended(137);
      console = guest.console;
    }
    const stopped = Date.now();

    await using guest = LinuxGuest.restore(home, ["-n", "web2", "web.tar"]);
    // It writes on by itself, for so long that its clock would not be right by itself.
    await guest.until((console) =>
      console.includes("@file") && Date.now() - stopped > 1000 * CLOCK_SECONDS
    );
    const before = Date.now() / 1000;
    await guest.go();
    const date = Number(await guest.said("date"));
    const after = Date.now() / 1000;
    assert.ok(
      date > before - CLOCK_SECONDS && date < after + CLOCK_SECONDS,
      `${date} is not between ${before} and ${after}`,
    );
    await guest.said("serving");
    assert.equal(new TextDecoder().decode(await plainGet(port, "/")), "from the guest\n");
    await guest.go();
    const said = await guest.end();

    assert.equal(said.one("cpus"), "2");
    assert.equal(said.one("text"), TEXT.trim());
    assert.equal(said.one("large"), `${LARGE_SUM} -`);
    assert.equal(said.all("clean").length, 1);
    const numbers = [...(console + guest.console).matchAll(/^@file (\d+)\r$/gm)].map(([, n]) =>
      Number(n)
    );
    assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
    assert.equal(said.one("files"), `${numbers.length}`);

    const checked = await tool("e2fsck", "-f", "-n", disk);
    assert.equal(checked.code, 0, checked.said);
    const files = join(home.folder, "files");
    Deno.mkdirSync(files);
    await tool("debugfs", "-R", `rdump / ${files}`, disk);
    for (let n = 0; n < numbers.length; n++) {
      const sum = createHash("md5").update(Deno.readFileSync(`${files}/file${n}`)).digest("hex");
      assert.equal(Deno.readTextFileSync(`${files}/sum${n}`), `${sum}  -\n`);
    }
    assert.deepEqual([said.one("after"), said.one("random")], ["second", "16 virtio_rng.0"]);
    const shared = (name: string) => Deno.readTextFileSync(join(home.folder, "given", name));
    assert.deepEqual([shared("written"), shared("new")], ["before\nafter\n", "new\n"]);
  },
  ["mkfs.ext4", "e2fsck", "debugfs"],
);
