/**
 * Runs `scripts/hvsh` as its users do: as a process, with its own folder, streams and deadline.
 *
 * @module
 */
import assert from "node:assert/strict";
import { binaryText } from "./binary_text.ts";
import { filesBelow, killIfThere, MARK, processesOf } from "./leaks.ts";

const SCRIPTS = decodeURIComponent(new URL("../scripts", import.meta.url).pathname);
/** Far above what anything here takes, also on an emulated host that others keep busy. */
const DEADLINE_SECONDS = 300;
/** How often processes that nobody here started, and so cannot be waited for, are looked at. */
const LOOK_MILLISECONDS = 20;

/** What a process did. */
export interface HvshResult {
  /** 128 + n for signal n, as a shell has it. */
  readonly status: number;
  /** Each byte a character. */
  readonly stdout: string;
  readonly stderr: string;
}

/** What is on its stdin: text, bytes, a pipe that stays open, or by default nothing. */
export type Stdin = string | Uint8Array<ArrayBuffer> | "open";

/** A running hvsh, or a shell with some. */
export class HvshProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #words: string;
  readonly #stdout: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #stderr: Promise<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | undefined;
  readonly #deadline: ReturnType<typeof setTimeout>;
  #text = "";
  #late = false;

  /**
   * @param child The process
   * @param words What it runs, for messages
   * @param stdin What is on its stdin
   * @param end Ends it and all that it started
   */
  constructor(
    child: Deno.ChildProcess,
    words: string,
    stdin: Stdin | undefined,
    end: () => void,
  ) {
    this.#child = child;
    this.#words = words;
    this.#stdout = child.stdout.getReader();
    this.#stderr = child.stderr.text();
    if (stdin !== undefined) {
      this.#writer = child.stdin.getWriter();
      if (stdin !== "open") this.send(stdin).then(() => this.closeInput());
    }
    this.#deadline = setTimeout(() => {
      this.#late = true;
      end();
    }, DEADLINE_SECONDS * 1000);
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What has been read of its stdout. */
  get output(): string {
    return this.#text;
  }

  /** Writes to its stdin. */
  async send(input: string | Uint8Array<ArrayBuffer>): Promise<void> {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    await this.#writer!.write(bytes).catch(() => {}); // it need not read it
  }

  /** Ends its stdin. */
  async closeInput(): Promise<void> {
    await this.#writer!.close().catch(() => {});
  }

  /** Reads its stdout up to some text, and no more chunks than that takes. */
  async until(text: string): Promise<string> {
    while (!this.#text.includes(text)) await this.more(`before "${text}"`);
    return this.#text;
  }

  /** Reads more of its stdout, which must not have ended. */
  async more(when = "before it said what was waited for"): Promise<void> {
    if (!await this.#read()) {
      const how = this.#late ? "was late" : "ended";
      assert.fail(`${this.#words} ${how} ${when}\n${this.#text}\n${await this.#stderr}`);
    }
  }

  /** Closes the reading end of its stdout. */
  async closeOutput(): Promise<void> {
    await this.#stdout.cancel();
  }

  /** Reads the rest of its stdout and waits for its end. */
  async result(): Promise<HvshResult> {
    while (await this.#read());
    const { code } = await this.#child.status;
    const stderr = await this.#stderr;
    clearTimeout(this.#deadline);
    if (this.#late) {
      assert.fail(`${this.#words} did not end in ${DEADLINE_SECONDS} s\n${this.#text}\n${stderr}`);
    }
    return { status: code, stdout: this.#text, stderr };
  }

  /** Sends it a signal, if it still runs. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
  }

  async #read(): Promise<boolean> {
    const { value, done } = await this.#stdout.read();
    if (value !== undefined) this.#text += binaryText(value);
    return !done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#deadline);
    this.kill("SIGKILL");
    await this.#writer?.close().catch(() => {});
    await this.#stdout.cancel();
    await this.#child.status;
    await this.#stderr;
  }
}

/**
 * A folder of a test's own, with its own VMs' run directory in it. At its end no process that was
 * started in it lives, no VM has left files, and it is removed.
 */
export class HvshHome implements AsyncDisposable {
  /** Where processes run. */
  readonly folder: string = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  readonly #mark = crypto.randomUUID();
  #gaveUp = false;

  constructor() {
    Deno.mkdirSync(this.runtime, { mode: 0o700 });
  }

  /** Its XDG_RUNTIME_DIR. */
  get runtime(): string {
    return `${this.folder}/runtime`;
  }

  /** Writes a file. */
  write(name: string, content: string | Uint8Array): string {
    const path = `${this.folder}/${name}`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  /** Starts hvsh. */
  start(args: readonly string[], stdin?: Stdin): HvshProcess {
    return this.#spawn(`${SCRIPTS}/hvsh`, args, `hvsh ${args.join(" ")}`, stdin);
  }

  /** Runs hvsh to its end. */
  async run(args: readonly string[], stdin?: Stdin): Promise<HvshResult> {
    await using process = this.start(args, stdin);
    return await process.result();
  }

  /** Starts a line of sh, with `hvsh` on PATH. */
  startLine(line: string, stdin?: Stdin): HvshProcess {
    return this.#spawn("sh", ["-c", line], line, stdin);
  }

  /** Runs a line of sh to the end of all its processes. */
  async line(line: string, stdin?: Stdin): Promise<HvshResult> {
    await using process = this.startLine(line, stdin);
    return await process.result();
  }

  /** The processes that were started here and live, whoever their parents are. */
  processes(): { pid: number; command: string }[] {
    return processesOf(this.#mark);
  }

  /** Waits until no process lives that was started here, whoever its parent is. */
  async empty(): Promise<void> {
    const end = performance.now() + DEADLINE_SECONDS * 1000;
    for (;;) {
      const left = processesOf(this.#mark);
      if (left.length === 0) return;
      if (performance.now() > end) {
        this.#endAll();
        assert.fail(`Processes are left: ${left.map(({ command }) => command).join("; ")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  }

  #spawn(command: string, args: readonly string[], words: string, stdin: Stdin | undefined) {
    const child = new Deno.Command(command, {
      args: [...args],
      cwd: this.folder,
      env: {
        HVSH_DENO: Deno.execPath(),
        NO_COLOR: "1",
        PATH: `${SCRIPTS}:${Deno.env.get("PATH")}`,
        XDG_RUNTIME_DIR: this.runtime,
        [MARK]: this.#mark,
      },
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new HvshProcess(child, words, stdin, () => this.#endAll());
  }

  #endAll(): void {
    this.#gaveUp = true;
    for (const { pid } of processesOf(this.#mark)) killIfThere(pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.empty();
    const left = filesBelow(`${this.runtime}/hvsh`);
    Deno.removeSync(this.folder, { recursive: true });
    if (!this.#gaveUp) assert.deepEqual(left, [], "VMs have left files");
  }
}
