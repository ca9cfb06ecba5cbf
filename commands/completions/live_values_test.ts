import "../../tests/c_library.ts";
import { deepEqual, equal, ok } from "node:assert/strict";
import { RunDirectory } from "../live/run_directory.ts";
import { prompt } from "../shell/prompt.ts";
import { liveSource, type SymbolNames } from "./live_values.ts";
import { VmSymbolNames } from "./vm_symbol_names.ts";

const SYMBOLS: SymbolNames = {
  prepare: () => {},
  starting: (_vm, start) =>
    Promise.resolve(["schedule", "sched_fork"].filter((name) => name.startsWith(start))),
};

/** With VMs of a name and state whose owner, this process, takes calls and answers none. */
async function withMuteVms(
  states: Readonly<Record<string, string>>,
  body: () => Promise<void>,
): Promise<void> {
  const before = Deno.env.get("XDG_RUNTIME_DIR");
  const folder = await Deno.makeTempDir({ prefix: "hvsh-test-" });
  Deno.env.set("XDG_RUNTIME_DIR", folder);
  try {
    using stack = new DisposableStack();
    for (const [name, state] of Object.entries(states)) {
      const vm = new RunDirectory(name);
      stack.use(vm.claim());
      stack.use(Deno.listen({ transport: "unix", path: vm.control }));
      await Deno.writeTextFile(vm.status, `pid ${Deno.pid}\nstate ${state}\n`);
    }
    await body();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
    else Deno.env.set("XDG_RUNTIME_DIR", before);
    await Deno.remove(folder, { recursive: true });
  }
}

const source = liveSource(SYMBOLS);

async function words(...[kind, place, word]: Parameters<typeof source.values>): Promise<string[]> {
  return (await source.values(kind, place, word)).map(({ word }) => word);
}

Deno.test("VMs come with their states, those that a verb cannot be for are left out", () =>
  withMuteVms({ db: "paused", web: "running" }, async () => {
    const none = { before: [] };
    deepEqual(await source.values("vm", none, ""), [
      { word: "db", help: "paused" },
      { word: "web", help: "running" },
    ]);
    deepEqual(await words("paused-vm", none, ""), ["db"]);
    deepEqual(await words("running-vm", none, ""), ["web"]);
  }));

Deno.test("a VM that does not answer keeps nobody: it has nothing, and a prompt without a place", () =>
  withMuteVms({ web: "paused" }, async () => {
    const place = { vm: "web", before: [] };
    deepEqual(await words("device", place, ""), []);
    deepEqual(await words("device-word", { vm: "web", before: ["disk0"] }, ""), []);
    ok((await words("register", place, "")).includes("rip"));
    ok((await words("register-setting", place, "")).includes("rip="));
    equal(await prompt("web"), "hvsh web:paused> ");
  }));

Deno.test("a condition goes on with registers and symbols at its end", () =>
  withMuteVms({ web: "paused" }, async () => {
    const place = { vm: "web", before: [] };
    deepEqual(await words("symbol", place, "sched"), ["schedule", "sched_fork"]);
    deepEqual(await words("condition", place, "rax == sched"), [
      "rax == schedule",
      "rax == sched_fork",
    ]);
    deepEqual(await words("condition", place, "u8[rdi"), ["u8[rdi"]);
    ok((await words("condition", place, "1+")).includes("1+rax"));
    // The only VM is meant where none is named.
    deepEqual(await words("symbol", { before: [] }, "schedu"), ["schedule"]);
    deepEqual(await words("symbol", { vm: "no such", before: [] }, ""), []);
  }));

Deno.test("a VM's symbols are looked for once, and again when another has its name", () =>
  withMuteVms({ web: "paused" }, async () => {
    let looks = 0;
    const names = new VmSymbolNames(() => {
      looks++;
      return Promise.resolve(["a", "ab", "b"]);
    });
    const web = new RunDirectory("web");
    names.prepare(web);
    deepEqual(await names.starting(web, "a"), ["a", "ab"]);
    equal(looks, 1);
    await Deno.writeTextFile(web.status, "pid 1\nstate paused\n");
    deepEqual(await names.starting(web, "b"), ["b"]);
    equal(looks, 2);
  }));

Deno.test("symbols that could not be looked for are looked for again", () =>
  withMuteVms({ web: "paused" }, async () => {
    let looks = 0;
    const names = new VmSymbolNames(() =>
      ++looks === 1 ? Promise.reject(new Error("no")) : Promise.resolve(["a"])
    );
    const web = new RunDirectory("web");
    equal(await names.starting(web, "").catch(() => "failed"), "failed");
    deepEqual(await names.starting(web, ""), ["a"]);
  }));
