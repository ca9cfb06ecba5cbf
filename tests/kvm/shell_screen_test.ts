/** The shell as a new user has it: typed at a real terminal, and what is seen on its screen. */
import assert from "node:assert/strict";
import { ShellOnTerminal } from "../pty.ts";
import { sampleElf } from "../sample_images.ts";
import { HELLO, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { symbolElf } from "../symbol_elf.ts";

/** A shell where VMs of a test's own are at hand, which are ended behind it. */
class NewUser implements AsyncDisposable {
  readonly home: HvshHome = new HvshHome();
  readonly shell: ShellOnTerminal;

  constructor() {
    this.home.write("boot.bin", HELLO);
    this.shell = new ShellOnTerminal(this.home.folder, {
      XDG_RUNTIME_DIR: this.home.runtime,
      XDG_STATE_HOME: `${this.home.folder}/state`,
      HVSH_DENO: Deno.execPath(),
      NO_COLOR: "1",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shell[Symbol.asyncDispose]();
    await this.home.line("hvsh kill '*'; hvsh wait '*'");
    await this.home[Symbol.asyncDispose]();
  }
}

/** Presses Tab until it has its effect: on a busy host a VM may not answer at once, and Tab rings the bell. */
async function tab(shell: ShellOnTerminal, effect: RegExp): Promise<void> {
  while (!effect.test(shell.screen)) {
    const { bells } = shell;
    shell.type("\t");
    await shell.eventually(() => effect.test(shell.screen) || shell.bells > bells || undefined);
  }
}

/** Presses Enter until the prompt says where the VM stands, for which it does not wait long either. */
async function place(shell: ShellOnTerminal, prompt: RegExp): Promise<void> {
  const prompts = () => shell.screen.match(/^hvsh \w+:\w+.*>$/gm)?.length ?? 0;
  await shell.see(/\nhvsh \w+:\w+[^\n>]*>$/);
  while (!prompt.test(shell.screen)) {
    const before = prompts();
    shell.type("\r");
    await shell.eventually(() => prompts() > before || undefined);
  }
}

onKvm(
  "a new user finds help, boots a guest by Tab, looks inside, saves it and leaves",
  async () => {
    await using user = new NewUser();
    const { shell, home } = user;
    await shell.see(/^hvsh, a hypervisor .* `help` explains, Tab completes\nhvsh>$/);

    shell.type("help\r");
    await shell.see(/\nBuild a VM, .*\n {2}create +Start a VM document/);
    await shell.see(/\nhvsh>$/);

    shell.type("cre\t-m 1M | fl\tbo\t| run -d --pau\t-n boot\r");
    await shell.see(/\nhvsh> create -m 1M \| flat boot\.bin \| run -d --paused -n boot\n/);
    await shell.see(/\nboot +\d+ +paused\nhvsh>$|"live":"boot".*\nhvsh>$/);

    shell.type("regs b\t--get ri\t--get cs\r");
    await shell.see(
      /\nhvsh> regs boot --get rip --get cs\nboot vCPU 0\n[^>]*rip +0*7c00\b[^>]*\nhvsh>$/,
    );

    shell.type("st\t\t");
    await shell.see(/\nstatus +Show .*\nstep +Have .*\n[^>]*\nhvsh> st$/);
    shell.type("ep boot 1\r");
    await shell.see(/hvsh> step boot 1\n[^>]*7c03 +mov al,48h\nhvsh>$/);
    shell.type("use b\t\r");
    await place(shell, /\nhvsh boot:paused 0000:7c03>$/);
    shell.type("step\r");
    await shell.see(/7c03> step\n[^>]*7c05 +out dx,al\nhvsh boot:paused.*>$/);
    await place(shell, /\nhvsh boot:paused 0000:7c05>$/);
    shell.type("use -\r");
    await shell.see(/7c05> use -\nhvsh>$/);

    shell.type("regs boot --set rfl\t");
    await shell.see(/\nhvsh> regs boot --set rflags=$/);
    shell.type("\x15detach-device boot i8");
    await tab(shell, /\nhvsh> detach-device boot i8042$/);
    shell.type("\x15ctl boot seri");
    await tab(shell, /\nhvsh> ctl boot serial0$/);
    shell.type("br");
    await tab(shell, /\nhvsh> ctl boot serial0 break$/);
    shell.type("\r");
    await shell.see(/\nhvsh> ctl boot serial0 break\n[^>]*boot[^>]*\nhvsh>$/);

    shell.type("snapshot boot > boot.tar\r");
    await shell.see(/> boot\.tar\n[^>]*hvsh>$/);
    shell.type("tar tf boot.tar | grep -c cpu/0\r");
    await shell.see(/\n1\nhvsh>$/);

    shell.type("stpe\r");
    await shell.see(/called "stpe"\n {2}stpe\n {2}\^\n {2}try: did you mean step\?\nhvsh>$/);

    shell.type("kill boot\r");
    await shell.see(/hvsh> kill boot\n[^>]*\nhvsh>$/);
    shell.type("exit 0\r");
    assert.equal(await shell.status(), 0);
    const history = Deno.readTextFileSync(`${home.folder}/state/hvsh/history`).split("\n");
    assert.equal(history[1], "create -m 1M | flat boot.bin | run -d --paused -n boot");
  },
);

const MIB = 1 << 20;

onKvm("symbols of a guest's kernel complete, when they are found", async () => {
  await using user = new NewUser();
  const { shell, home } = user;
  const segment = { vaddr: BigInt(MIB), paddr: MIB, data: SPIN };
  home.write("vmlinux", sampleElf(64, BigInt(MIB), [segment]));
  await shell.see(/\nhvsh>$/);
  shell.type("run -d --paused -n k vmlinux\r");
  await shell.see(/paused.*\nhvsh>$/);
  const symbols = ["start_here", "start_there", "end"].map((name, i) => ({
    name,
    address: BigInt(MIB + 16 * i),
    size: 16,
  }));
  home.write("vmlinux", symbolElf(symbols)); // the VM has read the other one
  shell.type("break k e");
  await tab(shell, /\nhvsh> break k end$/);
  shell.type("\x15break k --if 'rax == st");
  await tab(shell, /\nhvsh> break k --if 'rax == start_$/);
  shell.type("\t");
  await shell.see(/\nstart_here +start_there\nhvsh> break k --if 'rax == start_$/);
  shell.type("\x15disasm k start_t");
  await tab(shell, /\nhvsh> disasm k start_there$/);
  shell.type("-n 1\r");
  await shell.see(/-n 1\n[^>]*<start_there>[^>]*\nhvsh>$/);
  shell.type("use k\r");
  await place(shell, /\nhvsh k:paused 0x100000>$/);
  shell.type("kill; wait; exit 0\r");
  assert.equal(await shell.status(), 0);
});
