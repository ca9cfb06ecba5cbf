/** Where a Debian kernel spends its time, by the names that it has for its own functions. */
import assert from "node:assert/strict";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const SCRIPT = `
pause sleeping
(while :; do :; done) & pid=$!
pause spinning
kill $pid
`;

onNativeKvm(
  "a kernel that sleeps is idle in a function of its own, a process is user code",
  async () => {
    await using home = new HvshHome();
    await using guest = LinuxGuest.start(home, ["-n", "web"], SCRIPT);
    const perf = async () => {
      const { status, stdout, stderr } = await home.run(["perf", "web", "-t", "2"]);
      assert.deepEqual([status, stderr], [0, ""]);
      return stdout.trim().split("\n").map((line) => JSON.parse(line));
    };
    await guest.said("sleeping");
    const [idle] = await perf();
    assert.equal(idle.mode, "idle");
    assert.match(idle.function, /halt|idle|hlt|mwait/);
    await guest.go();
    await guest.said("spinning");
    const busy = await perf();
    const share = (mode: string) =>
      busy.filter((hot) => hot.mode === mode).reduce((sum, { percent }) => sum + percent, 0);
    assert.ok(share("user") > 50, JSON.stringify(busy.slice(0, 5)));
    assert.match(busy.find(({ mode }) => mode === "user").cr3, /^0x[0-9a-f]+000$/);
    const { stdout } = await home.line(
      "hvsh trace web -t 1 -n 20 | jq -r .reason | sort -u; hvsh stat web | jq -c 'select(.vcpu==0) | .exits > 0'",
    );
    assert.match(stdout, /true\n$/);
    await guest.go();
    await guest.end();
  },
);
