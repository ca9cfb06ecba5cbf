import assert from "node:assert/strict";
import { listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { packetOf, RspClient } from "../rsp_client.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Counts in the 32-bit word at 0x8000, in long mode. */
const COUNT = listing(`
  31 c0                 xor eax, eax          ; 7c00
  ff c0                 inc eax               ; 7c02, again:
  89 04 25 00 80 00 00  mov [0x8000], eax     ; 7c04
  90                    nop                   ; 7c0b
  eb f4                 jmp again             ; 7c0c
`);
const RIP = 16;
const little = (value: number) =>
  value.toString(16).padStart(16, "0").match(/../g)!.reverse().join("");

/** Starts a VM, and GDB's side of a connection to it. */
async function connected(
  home: HvshHome,
  code: Uint8Array<ArrayBuffer>,
  work: (gdb: RspClient) => Promise<void>,
  ...flags: string[]
): Promise<void> {
  const path = home.write("code.bin", code);
  const started = await home.run(["run", "-d", "-n", "box", ...flags, "--flat", path]);
  assert.deepEqual([started.status, started.stderr], [0, ""]);
  {
    await using process = home.start(["gdb", "box"], "open");
    await work(new RspClient(process));
    await process.closeInput();
    const { status, stderr } = await process.result();
    assert.deepEqual([status, stderr], [0, ""]);
  }
  await home.run(["kill", "box"]);
  await home.run(["wait", "box"]);
}

/** The state that `list` shows. */
async function state(home: HvshHome): Promise<unknown> {
  return JSON.parse((await home.run(["list"])).stdout).state;
}

const LONG = ["--mode", "long"];

onKvm(
  "GDB finds its features, registers and threads, and what makes no sense gets an error",
  async () => {
    await using home = new HvshHome();
    await connected(
      home,
      COUNT,
      async (gdb) => {
        assert.match(await gdb.reply("qSupported:swbreak+;hwbreak+"), /qXfer:features:read\+/);
        const xml = await gdb.reply("qXfer:features:read:target.xml:0,1fff");
        assert.match(xml, /^[lm]<\?xml version="1.0"\?>\n.*<architecture>i386:x86-64</s);
        assert.equal(await gdb.reply("qXfer:features:read:other.xml:0,100"), "E00");
        assert.match(
          await gdb.reply("qXfer:memory-map:read::0,1fff"),
          /^l.*<memory type="ram" start="0x0"/s,
        );
        assert.equal(await gdb.reply("qfThreadInfo"), "m1,2");
        assert.equal(await gdb.reply("?"), "T02thread:1;");
        const all = await gdb.reply("g");
        assert.equal(all.slice(RIP * 16, RIP * 16 + 16), little(0x7c00));
        assert.equal(await gdb.reply("p10"), little(0x7c00));
        assert.equal(await gdb.reply(`P0=${little(0x1234)}`), "OK");
        assert.equal(await gdb.reply("p0"), little(0x1234));
        assert.equal(await gdb.reply(`G${all}`), "OK");
        assert.equal(await gdb.reply("g"), all);

        assert.equal(await gdb.reply("m7c00,4"), "31c0ffc0");
        assert.equal(await gdb.reply("M8000,2:abcd"), "OK");
        assert.equal(await gdb.reply("X8002,3:a}]b"), "OK");
        assert.equal(await gdb.reply("m8000,5"), "abcd617d62");
        assert.equal(await gdb.reply("mffff800000000000,4"), "E0e");

        const wrong = [
          "g1",
          "p",
          "pzz",
          "pffff",
          "P0=12",
          "G00",
          "m",
          "m1",
          "m1,2,",
          "M0,4:12",
          "X0,1",
          "Hg9",
        ]
          .concat(
            "Z0,zz,1",
            "Z0,1",
            "vCont;q",
            "vCont;s:99",
            "T9",
            "qXfer:features:read:target.xml:x,1",
          );
        for (const packet of wrong) {
          assert.match(
            await gdb.reply(packet),
            /^(E01|E0e|[0-9a-f]{100,}|31.*|[0-9a-f]*)$/,
            packet,
          );
        }
        for (
          const packet of [
            "",
            "_",
            "qNothing",
            "vMustReplyEmpty",
            "Z9,0,1",
            "Z3,8000,4",
            "jThreads",
          ]
        ) {
          assert.equal(await gdb.reply(packet), "", packet);
        }
        const output = await gdb.reply("qRcmd," + Buffer.from("info").toString("hex"));
        assert.match(Buffer.from(output.slice(1), "hex").toString(), /^box: paused, 2 vCPUs, /);
        assert.equal(await gdb.packet(), "OK");
      },
      "--paused",
      "--cpus",
      "2",
      ...LONG,
    );
  },
);

onKvm("a packet whose sum is wrong is asked for again, and so is a reply", async () => {
  await using home = new HvshHome();
  await connected(home, SPIN, async (gdb) => {
    await gdb.send("$qC#00");
    assert.equal(await gdb.next(1), "-");
    await gdb.ask("qC");
    const reply = packetOf("QC1");
    assert.equal(await gdb.next(reply.length), reply);
    await gdb.send("-");
    assert.equal(await gdb.packet(), "QC1");
    assert.equal(await gdb.reply("QStartNoAckMode"), "OK");
    await gdb.send(packetOf("qC"));
    assert.equal(await gdb.packet(), "QC1"); // with no + before
  });
});

onKvm("GDB steps, breaks, continues, interrupts and detaches, and the guest goes on", async () => {
  await using home = new HvshHome();
  await connected(
    home,
    COUNT,
    async (gdb) => {
      await gdb.reply("qSupported:swbreak+;hwbreak+");
      assert.equal(await gdb.reply("vCont;s:1"), "T05thread:1;");
      assert.equal(await gdb.reply("p10"), little(0x7c02));
      assert.equal(await gdb.reply("s"), "T05thread:1;");
      assert.equal(await gdb.reply("p10"), little(0x7c04));
      assert.equal(await gdb.reply("vCont;r7c04,7c0c:1"), "T05thread:1;"); // until it is out of there
      assert.equal(await gdb.reply("p10"), little(0x7c0c));

      assert.equal(await gdb.reply("Z0,7c04,1"), "OK");
      assert.equal(await gdb.reply("Z0,7c04,1"), "OK");
      for (const count of [2, 3]) {
        assert.equal(await gdb.reply("vCont;c"), "T05thread:1;swbreak:;");
        assert.equal(await gdb.reply("p0"), little(count));
      }
      assert.equal(await gdb.reply("m7c04,2"), "8904");
      assert.equal(await gdb.reply("z0,7c04,1"), "OK");
      assert.equal(await gdb.reply("Z1,7c0b,1"), "OK");
      assert.equal(await gdb.reply("c"), "T05thread:1;hwbreak:;");
      assert.equal(await gdb.reply("z1,7c0b,1"), "OK");

      await gdb.ask("c");
      await gdb.send("\x03");
      assert.equal(await gdb.packet(), "T02thread:1;");
      assert.equal(await state(home), "paused");
      assert.equal(await gdb.reply("Z0,7c02,1"), "OK"); // which goes with it
      assert.equal(await gdb.reply("D"), "OK");
    },
    "--paused",
    ...LONG,
  );
});

onKvm("a VM runs on when GDB is gone, and is ended when GDB kills it", async () => {
  await using home = new HvshHome();
  const path = home.write("spin.bin", SPIN);
  await home.run(["run", "-d", "-n", "box", "--flat", path]);
  {
    await using process = home.start(["gdb", "box"], "open");
    const gdb = new RspClient(process);
    assert.equal(await gdb.reply("Z1,7c00,1"), "OK");
    assert.match(await gdb.reply("c"), /^T05thread:1;/);
    process.kill("SIGKILL");
  }
  while (await state(home) !== "running"); // its owner hears of it a little later
  const listed = await home.run(["break", "box"]);
  assert.deepEqual([listed.status, listed.stdout], [0, ""]);
  {
    await using process = home.start(["gdb", "box"], "open");
    await new RspClient(process).ask("k");
    assert.equal((await process.result()).status, 0);
  }
  assert.equal((await home.run(["wait", "box"])).status, 137);
});
