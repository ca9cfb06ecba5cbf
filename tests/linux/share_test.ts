import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const FILES = 300;

const SCRIPT = `
modprobe -a virtio_pci virtiofs
mkdir /mnt/read /mnt/write
mount -t virtiofs given /mnt/read
mount -t virtiofs taken /mnt/write
cd /mnt/read
say root $(ls | sort)
say many $(ls many | wc -l) $(cd many; printf '%s\\n' * | sort | md5sum) # ls has no UTF-8
say text $(cat below/text)
say large $(stat -c %s large) $(md5sum < large)
say link $(readlink link) $(cat link)
say outside $(cat outside 2>&1 || true)
say refused $(touch new 2>&1 || true)
say removed $(rm below/text 2>&1 || true)
say space $(df -m . | awk 'NR == 2 { print ($2 > 0) }')

cd /mnt/write
mkdir made
md5sum < /mnt/read/large > made/sum
cp /mnt/read/large made/copy
echo one > made/log
echo two >> made/log
mv made/log made/renamed
ln -s renamed made/link
chmod 640 made/renamed
rm old
sync
pause written
until [ -e from-the-host ]; do usleep 20000; done
say host $(cat from-the-host)
`;

onNativeKvm(
  "a guest lists and reads a shared folder, writes to a writable one, and gets out of neither",
  async () => {
    await using home = new HvshHome();
    const at = (...path: string[]) => join(home.folder, ...path);
    for (const folder of ["given/below", "given/many", "taken"]) {
      await Deno.mkdir(at(folder), { recursive: true });
    }
    const names = Array.from({ length: FILES }, (_, n) => `file ${n} \u00fc`);
    for (const name of names) await Deno.writeTextFile(at("given/many", name), name);
    const large = crypto.getRandomValues(new Uint8Array(60_000));
    const bytes = new Uint8Array(3_000_000).map((_, n) => large[n % large.length]! ^ n >> 16);
    await Deno.writeFile(at("given/large"), bytes);
    await Deno.writeTextFile(at("given/below/text"), "text of the host");
    await Deno.symlink("below/text", at("given/link"));
    await Deno.symlink("/outside-of-the-guest", at("given/outside"));
    await Deno.writeTextFile(at("taken/old"), "goes");

    await using guest = LinuxGuest.start(home, [
      ...["--share", `${at("given")}:given`],
      ...["--share", `${at("taken")}:taken --writable --cache none`],
    ], SCRIPT);
    await guest.said("written");
    assert.deepEqual([...Deno.readDirSync(at("taken"))].map(({ name }) => name), ["made"]);
    const md5 = (data: Uint8Array | string) => createHash("md5").update(data).digest("hex");
    const sum = md5(bytes);
    assert.equal(await Deno.readTextFile(at("taken/made/sum")), `${sum}  -\n`);
    assert.equal(md5(await Deno.readFile(at("taken/made/copy"))), sum);
    assert.equal(await Deno.readTextFile(at("taken/made/link")), "one\ntwo\n");
    assert.equal(((await Deno.stat(at("taken/made/renamed"))).mode ?? 0) & 0o777, 0o640);
    await Deno.writeTextFile(at("taken/beside"), "text of the host");
    await Deno.rename(at("taken/beside"), at("taken/from-the-host"));
    await guest.go();

    const said = await guest.end();
    assert.equal(said.one("root"), "below large link many outside");
    const listed = names.sort((a, b) => a < b ? -1 : 1).map((name) => `${name}\n`).join("");
    assert.equal(said.one("many"), `${FILES} ${md5(listed)} -`);
    assert.equal(said.one("text"), "text of the host");
    assert.equal(said.one("large"), `${bytes.length} ${sum} -`);
    assert.equal(said.one("link"), "below/text text of the host");
    assert.match(said.one("outside"), /No such file/);
    assert.match(said.one("refused"), /Read-only file system/);
    assert.match(said.one("removed"), /Read-only file system/);
    assert.equal(said.one("space"), "1");
    assert.equal(said.one("host"), "text of the host");
  },
);
