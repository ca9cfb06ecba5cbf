import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { LinuxGuest, ON_HVC0, SAY_ON_HVC0 } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { reachGuest, serveOnce } from "./vsock_host.ts";

/** What the balloon takes. */
const BALLOON = 64 * 2 ** 20;

/** Loads drivers; finds a port of a console by its name, as udev's links would. */
const SCRIPT = `
modprobe -a virtio_pci virtio-rng vmw_vsock_virtio_transport virtio_console virtio_balloon
# A console is preferred to the serial port for input.
pause() { say "$@"; read -r go < /dev/hvc0; }
port() { grep -lx "$1" /sys/class/virtio-ports/*/name | cut -d / -f 5; }

say rng $(cat /sys/class/misc/hw_random/rng_current)
for n in 1 2; do say random $(head -c 4096 /dev/hwrng | md5sum); done

${SAY_ON_HVC0}
stty -F /dev/hvc0 -echo # which could come within a line of the serial port's
# The window's size and the ports' names come by messages, after the driver.
until size=$(stty size < /dev/hvc0) && [ "$size" != "0 0" ]; do usleep 20000; done
say size $size
for name in task log agent; do until [ -n "$(port $name 2> /dev/null)" ]; do usleep 20000; done; done
cat /dev/$(port task) > /tmp/task & reader=$!
echo "by the log port" > /dev/$(port log)
exec 3<> /dev/$(port agent)
say agent
until read -r line <&3; do usleep 20000; done # it reads as ended while no host is there
echo "the guest has read $line" >&3

head -c 1000000 /dev/urandom > /tmp/sent
say sent $(md5sum < /tmp/sent)
say back $(probe relay vsock:2:1234 < /tmp/sent | md5sum)
say nobody $(probe relay vsock:2:999 2>&1 < /dev/null || true)
echo "from the guest" > /tmp/answer
probe relay vsock-listen:5000 < /tmp/answer > /tmp/heard & relay=$!
say listening
wait $relay
say heard $(cat /tmp/heard)

# Pages that have gone into the balloon and come out of it. MemFree would not do: what is being
# reported to the host is missing from it for a while.
pages() { awk -v name=balloon_$1 '$1 == name { print $2 }' /proc/vmstat; }
pause memory
until [ $(pages inflate) -ge ${BALLOON / 4096} ]; do usleep 20000; done
say taken $(pages inflate)
pause inflated
until [ $(pages deflate) -ge ${BALLOON / 4096} ]; do usleep 20000; done
say deflated
`;

/** The balloon's size by the guest's own word, and what it has given up, in bytes. */
async function balloon(home: HvshHome): Promise<{ actual: number; inflated: number }> {
  const { status, stdout, stderr } = await home.run(["stat", "web"]);
  assert.deepEqual([status, stderr], [0, ""]);
  const stats = stdout.trim().split("\n").map((record) => JSON.parse(record));
  return stats.find(({ device }) => device === "balloon0");
}

onNativeKvm(
  "entropy, console ports, vsock both ways and a balloon work over PCI in one guest",
  async () => {
    await using home = new HvshHome();
    const vsock = join(home.folder, "vsock");
    const agent = join(home.folder, "agent");
    home.write("task", "a task for the guest\n");
    await using guest = LinuxGuest.start(home, [
      ...["-n", "web", "--rng", "", "--vsock", `${vsock} --cid 42`, "--balloon", ""],
      ...[
        "--console",
        `--size 132x43 --port task=read:task --port log=write:log --port agent=${agent}`,
      ],
    ], SCRIPT);

    await guest.said("agent");
    // The guest goes on by itself behind the agent's answer.
    const served = serveOnce(vsock, 1234, (bytes) => bytes);
    using connection = await Deno.connect({ transport: "unix", path: agent });
    await connection.write(new TextEncoder().encode("what the host wrote\n"));
    const line = new Uint8Array(100);
    const length = await connection.read(line);
    assert.equal(
      new TextDecoder().decode(line.subarray(0, length!)),
      "the guest has read what the host wrote\n",
    );

    const sent = await served;
    await guest.said("listening");
    assert.equal(await reachGuest(vsock, 5000, "from the host"), "from the guest\n");

    const ctl = async (...words: string[]) => {
      const { status, stderr } = await home.run(["ctl", "web", ...words]);
      assert.deepEqual([status, stderr], [0, ""]);
    };
    await guest.said("memory");
    await ctl("balloon0", "target", "64M");
    await guest.go();
    await guest.said("inflated");
    // The guest says so after each piece that it has given up, the last one included.
    while ((await balloon(home)).actual !== BALLOON);
    assert.equal((await balloon(home)).inflated, BALLOON);
    await ctl("balloon0", "target", "0");
    await guest.go();

    const said = await guest.end();
    assert.match(said.one("rng"), /^virtio_rng/);
    assert.equal(new Set(said.all("random")).size, 2);
    assert.equal(said.hvc0, ON_HVC0);
    assert.equal(said.one("size"), "43 132");
    assert.equal(await Deno.readTextFile(join(home.folder, "log")), "by the log port\n");
    assert.equal(said.one("sent"), `${createHash("md5").update(sent).digest("hex")} -`);
    assert.equal(said.one("back"), said.one("sent"));
    assert.match(said.one("nobody"), /connect: Connection (reset|refused)/);
    assert.equal(said.one("heard"), "from the host");
    assert.equal(said.one("taken"), String(BALLOON / 4096));
  },
);

onNativeKvm("a guest that no longer tells its watchdog of itself is ended", async () => {
  await using home = new HvshHome();
  await using guest = LinuxGuest.start(
    home,
    ["--watchdog", "--action panic"],
    `
    modprobe wdat_wdt
    say watchdog $(cat /sys/class/watchdog/watchdog0/identity)
    watchdog -T 2 -t 1000 -F /dev/watchdog
  `,
  );
  const said = await guest.ended(101);
  assert.equal(said.one("watchdog"), "wdat_wdt");
  assert.match(said.stderr, /watchdog/);
});
