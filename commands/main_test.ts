import { deepEqual, equal, match } from "node:assert/strict";
import { shLine, TestFolder } from "../tests/sh_line.ts";

/** `printf '…'` of a guest that prints H and ends. */
const GUEST = new Uint8Array([0xba, 0xf8, 3, 0xb0, 0x48, 0xee, 0xb0, 10, 0xee, 0xf4]);

Deno.test("each stage of a pipeline prints one JSON line", async () => {
  await using folder = new TestFolder();
  folder.write("x.bin", GUEST);
  const stages = [
    "hvsh create -m 64M",
    "hvsh flat x.bin@0x1000",
    "jq -c .",
    "jq .", // several lines are as good
    "hvsh cmdline quiet",
  ];
  const line = stages.map((stage, i) => `${stage} | tee ${i}.json`).join(" | ");
  const { status, stdout, stderr } = await shLine(line, { cwd: folder.path });
  deepEqual([status, stderr], [0, ""]);
  deepEqual(JSON.parse(stdout), {
    vm: 1,
    memory: [{ type: "ram", size: 64 * 2 ** 20 }],
    cpus: 1,
    devices: [{ type: "serial", name: "serial0" }],
    boot: {
      flat: { images: [{ path: `${folder.path}/x.bin`, base: 0x1000 }] },
      cmdline: "quiet",
    },
  });
  for (const i of [0, 1, 2, 4]) {
    match(Deno.readTextFileSync(`${folder.path}/${i}.json`), /^\{.*\}\n$/);
  }
});

Deno.test("a filter maps every document that it is given", async () => {
  const { stdout } = await shLine("hvsh cmdline a", { stdin: '{"vm":1,"x":1}\n{"vm":1,"x":2}\n' });
  equal(stdout, '{"vm":1,"x":1,"boot":{"cmdline":"a"}}\n{"vm":1,"x":2,"boot":{"cmdline":"a"}}\n');
});

Deno.test("a flood into a filter ends silently when its reader goes, with no process left", async () => {
  const { status, stdout, stderr } = await shLine(
    `(yes '{"vm":1}'; echo $? >&2) | (hvsh cmdline a; echo $? >&2) | head -n 1`,
  );
  deepEqual([status, stdout], [0, '{"vm":1,"boot":{"cmdline":"a"}}\n']);
  // Both died of SIGPIPE and said nothing else.
  equal(stderr.trim().split("\n").sort().join(), "141,141");
});

const noPython = (await shLine("command -v python3")).status !== 0;

Deno.test("a full pipe that another process made non-blocking loses nothing", {
  ignore: noPython,
}, async () => {
  const line = `python3 -c '
import fcntl, os, subprocess
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
child = subprocess.Popen(["hvsh", "cmdline", "a"], stdin=0, stdout=w)
os.close(w)
total = sum(len(piece) for piece in iter(lambda: os.read(r, 4096), b""))
print(total, child.wait())
'`;
  const count = 20_000;
  const { stdout } = await shLine(line, { stdin: '{"vm":1}\n'.repeat(count) });
  equal(stdout, `${count * '{"vm":1,"boot":{"cmdline":"a"}}\n'.length} 0\n`);
});

Deno.test("a stage without input says what went wrong and ends with 125", async () => {
  for (const verb of ["cpu 2", "cmdline a", "serial"]) {
    const { status, stdout, stderr } = await shLine(`false | hvsh ${verb}`);
    deepEqual([status, stdout], [125, ""]);
    equal(stderr, `hvsh ${verb.split(" ")[0]}: No VM on stdin; did the stage before fail?\n`);
  }
});

Deno.test("a stage after one that failed says so, and the first says why", async () => {
  const { status, stderr } = await shLine("hvsh create | hvsh kernel missing | hvsh cpu 2");
  equal(status, 125);
  deepEqual(stderr.split("\n").sort().slice(1), [
    "hvsh cpu: No VM on stdin; did the stage before fail?",
    "hvsh kernel: missing: no such file or directory (ENOENT)",
  ]);
});

Deno.test("wrong usage ends with 2, names the word and points at it", async () => {
  const cases: [string, string][] = [
    [
      "hvsh create --memry 3",
      "hvsh create: There is no flag --memry\n  hvsh create --memry 3\n              ^\n" +
      "  try: did you mean --memory?\n",
    ],
    [
      "hvsh create -m 12Q",
      'hvsh create: --memory: Cannot parse the size "12Q": the unit is not one of K, M, G, T\n' +
      "  hvsh create -m 12Q\n                 ^\n",
    ],
    ["hvsh creat", 'hvsh creat: There is no verb "creat"\n  try: did you mean create?\n'],
    ["hvsh constructor", 'hvsh constructor: There is no verb "constructor"\n  try: hvsh help\n'],
  ];
  for (const [line, expected] of cases) {
    const { status, stdout, stderr } = await shLine(line);
    deepEqual([status, stdout, stderr], [2, "", expected]);
  }
});

Deno.test("documents that lie are refused by the stage that reads them, with 125", async () => {
  const cases: [string | Uint8Array, RegExp][] = [
    ['{"vm":1,"cpus":NaN}', /line 1, column 16: it is not JSON at "NaN\}"/],
    ['{"vm":2}', /"vm" is 2, not 1\n {2}try: `hvsh create` writes/],
    ['{"live":"web"}', /a handle on stdin, of the live VM "web", not a document/],
    ['{"vm":1', /ends in the middle of the object/],
    [new Uint8Array([0x7b, 0xff, 0x7d]), /line 1, column 2: the byte 0xff is not UTF-8/],
    [new Uint8Array([0x28, 0xb5, 0x2f, 0xfd]), /compressed with zstd\n {2}try: zstd -d \|/],
    ["jq: error\n", /it starts with "jq: error"/],
  ];
  for (const [stdin, message] of cases) {
    const { status, stdout, stderr } = await shLine("hvsh cmdline a", { stdin });
    deepEqual([status, stdout], [125, ""]);
    match(stderr, message);
  }
});

Deno.test("a line of 100 MB is refused, without memory for it", async () => {
  const { status, stderr } = await shLine(
    `(printf '{"vm":1,"name":"'; head -c 100000000 /dev/zero | tr '\\0' a) | hvsh cmdline a`,
  );
  equal(status, 125);
  match(stderr, /is longer than 16 MiB\n {2}try: name large images by their paths/);
});

Deno.test("every verb explains itself with --help, and help with its name", async () => {
  const { stdout } = await shLine("hvsh flat --help");
  match(stdout, /^Usage: hvsh flat \[FLAGS\] FILE\[@ADDR\]…\n/);
  equal((await shLine("hvsh help flat")).stdout, stdout);
  equal((await shLine("hvsh --help")).stdout, (await shLine("hvsh help")).stdout);
  equal((await shLine("hvsh --version")).stdout, (await shLine("hvsh version")).stdout);
});

Deno.test("what the host refuses has the call and its error number's name", async () => {
  const full = await shLine("hvsh create > /dev/full");
  deepEqual([full.status, full.stderr], [
    125,
    "hvsh create: stdout: write: no space left on device (ENOSPC)\n",
  ]);
  const folder = await shLine("hvsh cpu 2 < /");
  deepEqual([folder.status, folder.stderr], [
    125,
    "hvsh cpu: stdin: read: is a directory (EISDIR)\n",
  ]);
});
