/** Guests that count go on from a snapshot: nothing is lost, nothing is repeated. */
import assert from "node:assert/strict";
import { counted, type CountingGuest, countingGuest } from "../counting_guests.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

/** How far a guest is to have counted before it is moved. */
const ENOUGH = 40;

/** Starts a guest that counts. */
async function start(
  home: HvshHome,
  guest: CountingGuest,
  name: string,
  more: Record<string, unknown> = {},
): Promise<void> {
  records(await home.run(["run", "-d"], JSON.stringify(countingGuest(guest, name, more))));
}

/** What a VM's console has said, live or ended. */
async function log(home: HvshHome, name: string): Promise<string> {
  const { status, stdout, stderr } = await home.run(["log", name]);
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

/** Waits until a VM's guest has counted on. */
async function countsOn(
  home: HvshHome,
  guest: CountingGuest,
  name: string,
  before = "",
): Promise<void> {
  const from = counted(guest, before);
  while (counted(guest, before + await log(home, name)) < from + ENOUGH);
}

/** Ends a VM, and gives what its console has said to its end. */
async function end(home: HvshHome, name: string): Promise<string> {
  records(await home.run(["kill", name]));
  const text = await log(home, name);
  assert.equal((await home.run(["wait", name])).status, 137);
  return text;
}

/** The end of a VM that a snapshot has ended. */
async function stopped(home: HvshHome, name: string): Promise<string> {
  const text = await log(home, name);
  const { status, stdout } = await home.run(["wait", name]);
  assert.deepEqual([status, JSON.parse(stdout).reason], [137, "killed"]);
  return text;
}

/** What stands between `snapshot` and `restore`. */
const STAGES = {
  "snapshot | restore": "",
  "snapshot | gzip | gzip -d | restore": "| gzip -1 | gzip -d ",
} as const;

for (const guest of ["lines", "two", "ticks"] as const) {
  onKvm(`a guest that counts, ${guest}, is carried on and loses nothing`, async () => {
    await using home = new HvshHome();
    await start(home, guest, "vm0");
    await countsOn(home, guest, "vm0");
    let text = "";
    let number = 0;
    for (const stage of [...Object.values(STAGES), ""]) {
      const [from, to] = [`vm${number}`, `vm${++number}`];
      const [handle] = records(
        await home.line(`hvsh snapshot ${from} --stop ${stage}| hvsh restore -d -n ${to}`),
      );
      assert.deepEqual([handle!.live, handle!.state], [to, "running"]);
      text += await stopped(home, from);
      await countsOn(home, guest, to, text);
    }
    text += await end(home, `vm${number}`);
    counted(guest, text);
  });
}

onKvm("a guest has its own name again at once, and what its other self had open", async () => {
  await using home = new HvshHome();
  home.write("disk", new Uint8Array(2 ** 20));
  const devices = [{ type: "serial" }, { type: "disk", path: `${home.folder}/disk` }];
  await start(home, "lines", "web", { devices });
  for (let round = 0; round < 3; round++) {
    const [handle] = records(await home.line("hvsh snapshot web --stop | hvsh restore -d"));
    assert.equal(handle!.live, "web");
  }
  await end(home, "web");
});
