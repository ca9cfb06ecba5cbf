import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "../../scripts/setup/find_program.ts";
import { hasGuest } from "../../scripts/setup/guests.ts";

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const script = join(project, "scripts/emulated-host");

/** Inside there is no further one. */
const inside = Deno.env.get("HVSH_EMULATED_HOST") === "1";
const ready = findProgram("qemu-system-x86_64") !== undefined && hasGuest("vmlinuz");
const ignore = inside || (!ready && Deno.env.get("HVSH_REQUIRE_KVM") !== "1");

type Options = { env?: Record<string, string>; stdin?: Uint8Array; cwd?: string };

function start(args: string[], { env = {}, stdin, cwd = project }: Options = {}) {
  const process = new Deno.Command(script, {
    args: ["--timeout", "120", ...args],
    cwd,
    env: { HVSH_DENO: Deno.execPath(), ...env },
    stdin: stdin ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return process;
}

async function run(args: string[], options: Options = {}) {
  const process = start(args, options);
  if (options.stdin) {
    const fed = new Response(options.stdin as BufferSource).body as ReadableStream<Uint8Array>;
    await fed.pipeTo(process.stdin);
  }
  const { code, stdout, stderr } = await process.output();
  return { code, stdout, out: text(stdout), err: text(stderr) };
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

Deno.test({
  name: "stdout, stderr and the exit status of the command inside are the script's own",
  ignore,
  async fn() {
    const { code, out, err } = await run(["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert.deepEqual({ code, out, err }, { code: 7, out: "out\n", err: "err\n" });
  },
});

Deno.test({
  name: "a command that a signal ends gives 128 + n, and one that is not there 127",
  ignore,
  async fn() {
    assert.equal((await run(["sh", "-c", "kill -TERM $$"])).code, 143);
    assert.equal((await run(["no-such-command"])).code, 127);
  },
});

Deno.test({
  name: "binary stdin goes in up to its end, and what the command copies of it comes out unchanged",
  ignore,
  async fn() {
    const stdin = new Uint8Array(300_000).map((_, n) => n * 7 + (n >> 8));
    const { code, stdout } = await run(["cat"], { stdin });
    assert.equal(code, 0);
    assert.deepEqual(stdout, stdin);
  },
});

Deno.test({
  name: "output comes while the command still runs",
  ignore,
  async fn() {
    const process = start(["sh", "-c", "echo first; read line; echo $line"], {
      stdin: new Uint8Array(),
    });
    const chunks = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await chunks.read()).value, "first\n");
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("second\n"));
    assert.equal((await chunks.read()).value, "second\n");
    await writer.close();
    await chunks.cancel();
    await process.stderr.cancel();
    assert.equal((await process.status).code, 0);
  },
});

Deno.test({
  name: "inside, /dev/kvm opens, there is a processor, and the project is at its own path",
  ignore,
  async fn() {
    const script = `exec 5<>/dev/kvm && echo kvm; nproc; pwd; cmp deno.json ${project}/deno.json`;
    const { code, out } = await run(["sh", "-c", script]);
    assert.deepEqual({ code, out }, { code: 0, out: `kvm\n1\n${project}\n` });
  },
});

Deno.test({
  name: "inside, a program can shut itself in (root, namespaces), make a tap, and finds a way out",
  ignore,
  async fn() {
    const script = `
      unshare -m sh -c 'mount -t tmpfs none /tmp && cd /tmp && pivot_root . .' && echo root
      unshare -n sh -c 'ip link set lo up && tunctl -t tap0 > /dev/null && ifconfig -a tap0 | grep -c HWaddr'
      route -n | grep ^0.0.0.0 | wc -l`;
    const { out, err } = await run(["sh", "-c", script]);
    assert.deepEqual({ out, err }, { out: "root\n1\n1\n", err: "" });
  },
});

Deno.test({
  name: "inside, a library that is loaded by its name is found, and nbdkit its plugin",
  ignore: ignore || findProgram("nbdkit") === undefined,
  async fn() {
    const { code, out } = await run(["nbdkit", "-U", "-", "memory", "1M", "--run", "echo $uri"]);
    assert.deepEqual([code, out.startsWith("nbd+unix://")], [0, true]);
    const slirp = `Deno.dlopen("libslirp.so.0", {}).close()`;
    assert.equal((await run(["deno", "eval", slirp])).code, 0);
  },
});

Deno.test({
  name: "deno runs inside with the project's npm packages and the variables that are passed on",
  ignore,
  async fn() {
    const program = `import fc from "fast-check";
      console.log(typeof fc.assert, Deno.env.get("HVSH_X"), Deno.env.get("OTHER"))`;
    const env = { HVSH_X: "it's", OTHER: "no", NO_COLOR: "1" };
    const { out, err } = await run(["deno", "eval", program], { env });
    assert.deepEqual({ out, err }, { out: "function it's undefined\n", err: "" });
  },
});

Deno.test({
  name: "the guests have the same paths inside",
  ignore,
  async fn() {
    const url = new URL("../../scripts/setup/guests.ts", import.meta.url).href;
    const program = `import { GUESTS, hasGuest } from "${url}";
      console.log(GUESTS.filter((name) => !hasGuest(name)).join());`;
    const { code, out, err } = await run(["deno", "eval", program]);
    assert.deepEqual({ code, out, err }, { code: 0, out: "\n", err: "" });
  },
});

Deno.test({
  name: "files come in by --in, and a folder of --out starts empty and comes back",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const [given, out] = [join(folder, "given file"), join(folder, "out")];
      await Deno.writeTextFile(given, "from outside");
      await Deno.mkdir(out);
      await Deno.writeTextFile(join(out, "old"), "stays outside");
      const command = `ls -A '${out}'; mkdir '${out}/below'; cp '${given}' '${out}/below/copy'`;
      const args = ["--in", given, "--out", out, "sh", "-c", command];
      assert.deepEqual(
        await run(args).then(({ code, out, err }) => ({ code, out, err })),
        { code: 0, out: "", err: "" },
      );
      assert.equal(await Deno.readTextFile(join(out, "below/copy")), "from outside");
      assert.equal(await Deno.readTextFile(join(out, "old")), "stays outside");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "a machine that ends before its command gives 125 and its last words",
  ignore,
  async fn() {
    const [off, panic] = await Promise.all([
      run(["poweroff", "-f"]),
      run(["sh", "-c", "echo c > /proc/sysrq-trigger"]),
    ]);
    assert.equal(off.code, 125);
    assert.match(off.err, /Power down/);
    assert.equal(panic.code, 125);
    assert.match(panic.err, /Kernel panic/);
  },
});

Deno.test({
  name: "a QEMU that does not start gives 125 and what it said",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const fake = "#!/bin/sh\necho 'no such machine' >&2\nexit 1\n";
      await Deno.writeTextFile(join(folder, "qemu-system-x86_64"), fake, { mode: 0o755 });
      const { code, err } = await run(["true"], {
        env: { PATH: `${folder}:${Deno.env.get("PATH")}` },
      });
      assert.equal(code, 125);
      assert.match(err, /no such machine/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "--timeout ends the call with 124, and SIGTERM with 143 and no process left",
  ignore,
  async fn() {
    assert.equal((await run(["--timeout", "1", "sleep", "100"])).code, 124);
    const process = start(["sh", "-c", "echo up; exec sleep 100"]);
    const chunks = process.stdout.getReader();
    assert.equal(text((await chunks.read()).value ?? new Uint8Array()), "up\n");
    const task = `/proc/${process.pid}/task/${process.pid}`;
    const children = (await Deno.readTextFile(`${task}/children`)).split(" ").filter(Boolean);
    assert.equal(children.length, 1);
    process.kill("SIGTERM");
    await chunks.cancel();
    await process.stderr.cancel();
    assert.equal((await process.status).code, 143);
    for (const pid of children) await assert.rejects(Deno.stat(`/proc/${pid}`));
  },
});

Deno.test({
  name: "wrong usage gives 2 and says what was wrong",
  async fn() {
    const { code, err } = await run(["--nosuch", "true"]);
    assert.equal(code, 2);
    assert.match(err, /Unknown option --nosuch/);
  },
});
