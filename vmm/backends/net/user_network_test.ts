import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { NetGuest } from "../../../tests/net_guest.ts";
import { onNetwork } from "../../../tests/on_network.ts";
import { VirtioMachine } from "../../../tests/virtio_machine.ts";
import { net } from "../../virtio/net.ts";
import * as v from "valibot";
import { parsePacket, udpFrame } from "../../../tests/net_packets.ts";
import type { Prepared } from "../../device.ts";
import { type NetConfig, NetSchema } from "./net_config.ts";
import { prepareNet } from "./prepare.ts";
import { UserNetwork } from "./user_network.ts";

const NAMES = { name: "net0", event() {} };

for (const backend of ["passt", "slirp"] as const) {
  onNetwork(backend, `${backend}: the guest reaches the host's loopback at 10.0.2.2`, async () => {
    const echo = createSocket("udp4");
    echo.on("message", (data, { port, address }) => echo.send(data, port, address));
    echo.bind(0, "127.0.0.1");
    await once(echo, "listening");
    await using vm = await VirtioMachine.open(net, { backend });
    const guest = new NetGuest(vm);
    assert.deepEqual([...await guest.findHost()], [...UserNetwork.HOST_MAC]);
    const question = new TextEncoder().encode("is anybody there?");
    assert.deepEqual(await guest.askByUdp(echo.address().port, question), question);
    assert.equal(vm.stats.tx_packets, 2);
    assert.equal(vm.stats.tx_errors, 0);
    echo.close();
    await once(echo, "close");
  });

  onNetwork(
    backend,
    `${backend}: a forwarded port leads to the guest, and data both ways`,
    async () => {
      const port = freePort();
      await using vm = await VirtioMachine.open(net, { backend, forward: [`tcp:${port}:80`] });
      const guest = new NetGuest(vm);
      await guest.findHost();
      const served = guest.echoByTcp(80);
      const client = await Deno.connect({ hostname: "127.0.0.1", port });
      const sent = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");
      await client.write(sent);
      const answer = new Uint8Array(100);
      const count = await client.read(answer);
      assert.deepEqual(answer.subarray(0, count!), sent);
      client.close();
      assert.deepEqual(await served, sent);
    },
  );

  onNetwork(
    backend,
    `${backend}: a port that is taken is told of before the VM starts`,
    async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr;
      await assert.rejects(
        () => VirtioMachine.open(net, { backend, forward: [`tcp:${port}:80`] }),
        { name: "VmError", message: new RegExp(`tcp port ${port} of 127.0.0.1`) },
      );
    },
  );
}

for (const backend of ["passt", "slirp"] as const) {
  onNetwork(backend, `${backend}: DHCP gives the guest the address and the router`, async () => {
    await using vm = await VirtioMachine.open(net, { backend });
    const guest = new NetGuest(vm);
    guest.send(udpFrame(
      {
        sourceMac: guest.mac,
        targetMac: new Uint8Array(6).fill(0xff),
        source: [0, 0, 0, 0],
        target: [255, 255, 255, 255],
        sourcePort: 68,
        targetPort: 67,
      },
      dhcpDiscover(guest.mac),
    ));
    const offer = await guest.next((frame) => {
      const packet = parsePacket(frame);
      return packet?.sourcePort === 67 ? packet.data : undefined;
    });
    assert.deepEqual([...offer.subarray(16, 20)], [...UserNetwork.GUEST]);
    assert.deepEqual(dhcpOption(offer, 3), [...UserNetwork.HOST]);
    assert.deepEqual(dhcpOption(offer, 1), [...UserNetwork.MASK]);
  });
}

onNetwork("passt", "passt's end is a link that goes down", async () => {
  await using passt = await prepareNet(v.parse(NetSchema, { backend: "passt" }), NAMES);
  await using vm = await VirtioMachine.open({ ...net, prepare: lent(passt) });
  new NetGuest(vm).collect();
  const [pid] = await passts();
  Deno.kill(pid!, "SIGKILL");
  await vm.until(() => vm.stats.link === 0);
  assert.match(vm.events[0]!.message!, /its peer has gone/);
  assert.equal(vm.registers.readConfig(6, 2), 0);
});

onNetwork("passt", "passt ends with its VM, and when its owner is killed", async () => {
  {
    await using _ = await prepareNet(v.parse(NetSchema, { backend: "passt" }), NAMES);
    assert.equal((await passts()).length, 1);
  }
  assert.deepEqual(await passts(), []);
  const module = new URL("./prepare.ts", import.meta.url);
  const schema = new URL("./net_config.ts", import.meta.url);
  const program = `
    import * as v from "npm:valibot@1.5.0";
    const { prepareNet } = await import("${module}");
    const { NetSchema } = await import("${schema}");
    await prepareNet(v.parse(NetSchema, { backend: "passt" }), { name: "net0", event() {} });
    console.log(Deno.pid);
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program],
    stdout: "piped",
  }).spawn();
  const reader = owner.stdout.getReader();
  await reader.read();
  const [pid] = await passts(owner.pid);
  assert(pid !== undefined);
  owner.kill("SIGKILL");
  await owner.status;
  await reader.cancel();
  const deadline = performance.now() + 5000;
  while (isAlive(pid)) {
    assert(performance.now() < deadline, "passt outlives its owner");
    await new Promise((turn) => setTimeout(turn, 1));
  }
});

onNetwork(
  "slirp",
  "where passt does not start the library does its work, and that is said",
  async () => {
    const folder = await Deno.makeTempDir();
    const path = Deno.env.get("PATH")!;
    await Deno.writeTextFile(
      `${folder}/passt`,
      "#!/bin/sh\necho no sandbox for you >&2\nexit 1\n",
      {
        mode: 0o755,
      },
    );
    Deno.env.set("PATH", `${folder}:${path}`);
    try {
      await using vm = await VirtioMachine.open(net, { backend: "user" });
      assert.match(vm.events[0]!.message!, /no sandbox for you; libslirp is used instead/);
      await new NetGuest(vm).findHost();
      await assert.rejects(() => VirtioMachine.open(net, { backend: "passt" }), {
        name: "VmError",
        message: /passt did not start: no sandbox for you/,
      });
    } finally {
      Deno.env.set("PATH", path);
      await Deno.remove(folder, { recursive: true });
    }
  },
);

/** A prepare that hands on what a test has prepared, and leaves its end to the test. */
function lent(prepared: Prepared<NetConfig>): () => Promise<Prepared<NetConfig>> {
  return () =>
    Promise.resolve({ config: prepared.config, [Symbol.asyncDispose]: () => Promise.resolve() });
}

/** The passts that a process has started. */
async function passts(parent = Deno.pid): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = await Deno.readTextFile(`/proc/${name}/status`);
      const own = /^PPid:\t(\d+)$/m.exec(status)?.[1] === String(parent);
      if (own && /^Name:\tpasst/m.test(status)) found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** BOOTP with DHCP's magic, message type 1 and the end (RFC 2131, 2132). */
function dhcpDiscover(mac: Uint8Array): Uint8Array {
  const message = new Uint8Array(300);
  message.set([1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78]);
  message.set(mac, 28);
  message.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236);
  return message;
}

function dhcpOption(message: Uint8Array, wanted: number): number[] | undefined {
  for (let at = 240; at < message.length && message[at] !== 255;) {
    if (message[at] === 0) {
      at++;
      continue;
    }
    const length = message[at + 1]!;
    if (message[at] === wanted) return [...message.subarray(at + 2, at + 2 + length)];
    at += 2 + length;
  }
  return undefined;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
