/** The shell as a new user has it: typed at a real terminal, and what is seen on its screen. */
import assert from "node:assert/strict";
import { ShellOnTerminal } from "../../commands/shell/pty.ts";
import { HELLO } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

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
    await shell.see(/\nhvsh boot:paused 0000:7c03>$/);
    shell.type("step\r");
    await shell.see(/7c03> step\n[^>]*7c05 +out dx,al\nhvsh boot:paused 0000:7c05>$/);
    shell.type("use -\r");
    await shell.see(/7c05> use -\nhvsh>$/);

    shell.type("regs boot --set rfl\t");
    await shell.see(/\nhvsh> regs boot --set rflags=$/);
    shell.type("\x15detach-device boot i8\t");
    await shell.see(/\nhvsh> detach-device boot i8042$/);
    shell.type("\x15ctl boot seri\tbr\t\r");
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
