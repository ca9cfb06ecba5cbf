import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { LinuxGuest, type Said } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { plainGet, PlainServer } from "./plain_http.ts";

const TEXT = "from the host\n";
const LARGE = new Uint8Array(3_000_000).map((_, n) => n * n >> 7);
const LARGE_SUM = createHash("md5").update(LARGE).digest("hex");

/** What a guest does with a card once it has an address: reaches the host, is reached by it. */
const WEB = `
mkdir /www
echo "from the guest" > /www/index.html
httpd -p 80 -h /www
reach() {
  say text $(wget -q -O - "$1/text")
  say large $(wget -q -O - "$1/large" | md5sum)
  head -c 2000000 /dev/urandom > /www/posted
  say posted $(md5sum < /www/posted)
}
`;

/** A port that nobody listens on now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function assertReached(said: Said, guestSum: string): void {
  assert.equal(said.one("text"), TEXT.trim());
  assert.equal(said.one("large"), `${LARGE_SUM} -`);
  assert.equal(said.one("posted"), `${guestSum} -`);
}

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

for (const [backend, program] of [["passt", "passt"], ["slirp", "libslirp.so.0"]] as const) {
  onNativeKvm(
    `by ${backend} a guest reaches a web server of the host and is reached through a forwarded port`,
    async () => {
      await using home = new HvshHome();
      await using server = new PlainServer({ "/text": TEXT, "/large": LARGE });
      const port = freePort();
      const net = `${backend} --forward tcp:${port}:80 --mac 52:54:00:00:00:07`;
      await using guest = LinuxGuest.start(
        home,
        ["--net", net],
        `
        modprobe -a virtio_pci virtio_net
        ${WEB}
        ip link set eth0 up
        udhcpc -i eth0 -n -q -t 10 > /dev/null
        say mac $(cat /sys/class/net/eth0/address)
        reach http://10.0.2.2:${server.port}
        pause serving
      `,
      );
      await guest.said("serving");
      const index = await plainGet(port, "/");
      assert.equal(new TextDecoder().decode(index), "from the guest\n");
      const posted = await plainGet(port, "/posted");
      await guest.go();
      const said = await guest.end();
      assert.equal(said.one("mac"), "52:54:00:00:00:07");
      assertReached(said, md5(posted));
    },
    [program],
  );
}

/** Runs a program of the host to its end. */
async function host(...[program, ...args]: [string, ...string[]]): Promise<Uint8Array> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  assert.equal(code, 0, `${program} ${args.join(" ")}\n${new TextDecoder().decode(stderr)}`);
  return stdout;
}

onNativeKvm(
  "by a tap in a network namespace the guest and that namespace reach each other, and nobody else",
  async () => {
    await using home = new HvshHome();
    const namespace = `hvsh-${Deno.pid}`;
    await using cleanUp = new AsyncDisposableStack();
    await host("ip", "netns", "add", namespace);
    cleanUp.defer(async () => {
      await host("ip", "netns", "delete", namespace);
    });
    const inside = (...words: string[]) =>
      ["ip", "netns", "exec", namespace, ...words] as [string, ...string[]];

    Deno.mkdirSync(`${home.folder}/www`);
    home.write("www/text", TEXT);
    home.write("www/large", LARGE);
    const net = `tap vm0 --netns /run/netns/${namespace} --address 10.9.0.1/24 --queues 2`;
    await using guest = LinuxGuest.start(
      home,
      ["--cpus", "2", "--net", net],
      `
      modprobe -a virtio_pci virtio_net
      ${WEB}
      ip addr add 10.9.0.2/24 dev eth0
      ip link set eth0 up
      pause up
      say queues $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)
      reach http://10.9.0.1:8000
      pause serving
    `,
    );
    await guest.said("up");
    const [ip, ...args] = inside("httpd", "-f", "-p", "10.9.0.1:8000", "-h", `${home.folder}/www`);
    const server = new Deno.Command(ip, { args }).spawn();
    cleanUp.defer(async () => {
      server.kill("SIGKILL");
      await server.status;
    });
    const listening = / 0100090A:1F40 \S+ 0A /; // 10.9.0.1:8000, LISTEN: proc_net_tcp.rst
    const sockets = async () =>
      new TextDecoder().decode(await host(...inside("cat", "/proc/net/tcp")));
    while (!listening.test(await sockets()));
    await guest.go();
    await guest.said("serving");
    const fetched = inside("wget", "-q", "-O", "-", "http://10.9.0.2/posted");
    const posted = await host(...fetched);
    assert.match(new TextDecoder().decode(await host("ip", "link")), /^(?![^]*vm0)/);
    await guest.go();
    const said = await guest.end();
    assert.equal(said.one("queues"), "2");
    assertReached(said, md5(posted));
  },
  ["ip"],
);
