/**
 * Debian's kernel with a script of the test's own: it loads drivers, tries devices and says what came
 * of it on the serial port, where the test reads it.
 *
 * The script runs in busybox's sh, which ends at the first command that fails. It finds
 *
 *     say NAME [VALUE]   tells the test a value, on a line of its own
 *     pause NAME         tells the test, and waits for its `go`
 *     probe              the program of scripts/guest/probe.c
 *
 * @module
 */
import assert from "node:assert/strict";
import { cpio } from "../vmm/boot/cpio.ts";
import { guestPath } from "../scripts/setup/guests.ts";
import type { HvshHome, HvshProcess } from "./run_hvsh.ts";

/** Begins a line that `say` has written, which no other line of the console does. */
const MARK = "@";

/** What a guest talks to its test by. */
export const GUEST_SHELL = `
say() { echo "${MARK}$*"; }
pause() { say "$@"; read -r go; }
`;

/**
 * What a guest says on a virtio console: bytes that its serial port never says, since the two share hvsh's
 * stdout and come there in pieces of any size.
 */
export const ON_HVC0 = "\x01\x02\x03\x04";

/** Commands that say it, as soon as the console can be opened. */
export const SAY_ON_HVC0 = `
until (: < /dev/hvc0) 2> /dev/null; do usleep 20000; done
printf '\\001\\002\\003\\004' > /dev/hvc0
`;

const PREAMBLE = `set -e
${GUEST_SHELL}
trap 'status=$?; [ $status = 0 ] || { lsmod; dmesg | tail -n 30; }; exit $status' EXIT
`;

/**
 * Less than KERN_CRIT on the console: a warning in the middle of a line would spoil it, and what says
 * why a script failed comes with its end.
 */
const COMMAND_LINE = "quiet loglevel=2 hvsh.do=script";

/** A guest that runs a script. */
export class LinuxGuest implements AsyncDisposable {
  readonly #process: HvshProcess;
  #awaited = false;

  private constructor(process: HvshProcess) {
    this.#process = process;
  }

  /**
   * Starts one.
   *
   * @param home Where hvsh runs
   * @param flags What `hvsh run` is given besides: devices
   * @param script The script
   */
  static start(home: HvshHome, flags: readonly string[], script: string): LinuxGuest {
    const words = bootWords(initrds(scriptArchive(home, script)), COMMAND_LINE);
    return new LinuxGuest(home.start(["run", ...flags, ...words], "open"));
  }

  /**
   * Starts one from a VM document on stdin, so that it hears nothing.
   *
   * @param home Where hvsh runs
   * @param keys Keys of the document, besides memory, kernel and devices
   * @param devices Entries of the document, besides a serial port
   * @param script The script
   */
  static startDocument(
    home: HvshHome,
    keys: Readonly<Record<string, unknown>>,
    devices: readonly Record<string, unknown>[],
    script: string,
  ): LinuxGuest {
    const document = {
      vm: 1,
      ...keys,
      memory: [{ type: "ram", size: "256M" }],
      boot: {
        kernel: { path: guestPath("vmlinuz") },
        initrd: initrds(scriptArchive(home, script)),
        cmdline: COMMAND_LINE,
      },
      devices: [{ type: "serial", name: "serial0" }, ...devices],
    };
    return new LinuxGuest(home.start(["run"], JSON.stringify(document)));
  }

  /**
   * Starts one whose root file system is its first disk; that one's init ends it.
   *
   * @param home Where hvsh runs
   * @param flags What `hvsh run` is given besides: the disk
   */
  static startRoot(home: HvshHome, flags: readonly string[]): LinuxGuest {
    const words = bootWords(initrds(), COMMAND_LINE.replace("=script", "=root"));
    return new LinuxGuest(home.start(["run", ...flags, ...words], "open"));
  }

  /**
   * Starts one from a snapshot of another.
   *
   * @param home Where hvsh runs
   * @param words What `hvsh restore` is given: the snapshot's file
   */
  static restore(home: HvshHome, words: readonly string[]): LinuxGuest {
    return new LinuxGuest(home.start(["restore", ...words], "open"));
  }

  /** Waits until the guest has said a name, and gives the value of its first time. */
  async said(name: string): Promise<string> {
    const found = new RegExp(`^${MARK}${name}(?: (.*))?\\r\\n`, "m");
    await this.until((console) => found.test(console), `before "${MARK}${name}"`);
    return found.exec(this.console)![1] ?? "";
  }

  /** Waits until its console is as it should be. */
  async until(condition: (console: string) => boolean, when?: string): Promise<void> {
    while (!condition(this.console)) await this.#process.more(when);
  }

  /** The console so far. */
  get console(): string {
    return this.#process.output.replaceAll(HVC0_BYTES, "");
  }

  /** Lets a guest go on that has paused. */
  async go(): Promise<void> {
    await this.#process.send("\n");
  }

  /**
   * Waits for the script's end, and for that of hvsh.
   *
   * @returns What it said
   */
  async end(): Promise<Said> {
    this.#awaited = true;
    const { status, stdout, stderr } = await this.#process.result();
    assert.match(
      stdout.replaceAll(HVC0_BYTES, ""),
      /^hvsh-guest: status 0\r$/m,
      `The guest's script failed:\n${stdout}`,
    );
    assert.deepEqual([status, stderr], [0, ""], stdout);
    return saidIn(stdout);
  }

  /**
   * Waits for the end of a guest that does not end its script by itself.
   *
   * @param status What hvsh is to exit with
   * @returns What it said
   */
  async ended(status: number): Promise<Said & { stderr: string }> {
    this.#awaited = true;
    const result = await this.#process.result();
    assert.equal(result.status, status, `${result.stdout}\n${result.stderr}`);
    return Object.assign(saidIn(result.stdout), { stderr: result.stderr });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its test has failed by something else: here may be why.
    if (!this.#awaited) console.error(`The guest's console:\n${this.console}`);
    await this.#process[Symbol.asyncDispose]();
  }
}

/** What a guest has said: all values of each name, in order. */
export interface Said {
  /** What came from a virtio console, of the bytes that {@linkcode ON_HVC0} has. */
  readonly hvc0: string;
  /** The one value of a name. */
  one(name: string): string;
  /** All of its values. */
  all(name: string): string[];
}

function scriptArchive(home: HvshHome, script: string): string {
  const data = new TextEncoder().encode(PREAMBLE + script);
  const name = `script-${crypto.randomUUID()}.cpio`;
  return home.write(name, cpio([{ path: "script", type: "file", data }]));
}

function initrds(...more: string[]): string[] {
  return [guestPath("initramfs.cpio"), guestPath("devices.cpio"), ...more];
}

function bootWords(initrds: string[], commandLine: string): string[] {
  const words = initrds.flatMap((path) => ["--initrd", path]);
  return [guestPath("vmlinuz"), ...words, "--cmdline", commandLine];
}

// deno-lint-ignore no-control-regex -- control characters are what it is about
const HVC0_BYTES = /[\x01-\x04]/g;

function saidIn(stdout: string): Said {
  const console = stdout.replaceAll(HVC0_BYTES, "");
  const all = (name: string) =>
    [...console.matchAll(/^@(\S+)(?: (.*))?\r$/gm)]
      .filter((match) => match[1] === name)
      .map((match) => match[2] ?? "");
  return {
    hvc0: stdout.match(HVC0_BYTES)?.join("") ?? "",
    all,
    one(name) {
      const values = all(name);
      assert.equal(
        values.length,
        1,
        `The guest has said "${name}" ${values.length} times:\n${console}`,
      );
      return values[0]!;
    },
  };
}
