/**
 * Mounted trees for tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HostError } from "../ffi/errors.ts";
import { closeFile } from "../ffi/files.ts";
import { openFuse } from "../ffi/fuse_device.ts";
import { onKvmWith } from "./on_kvm.ts";
import type { HvshHome, HvshProcess } from "./run_hvsh.ts";

const DEADLINE = 180_000;
/** How often a file is read that is to say something else. */
const LOOK_MILLISECONDS = 20;

/** Why nothing can be mounted here; undefined if it can. */
function fuseMissing(): string | undefined {
  if (Deno.uid() !== 0) return "only root mounts in a test";
  try {
    closeFile(openFuse());
    return undefined;
  } catch (error) {
    if (error instanceof HostError) return error.message;
    throw error;
  }
}

const missing = fuseMissing();

/**
 * A test that mounts a tree, which only root does by itself.
 *
 * @param name The behaviour it states
 * @param fn The test
 */
export function onFuse(name: string, fn: () => Promise<void>): void {
  onKvmWith(name, fn, missing);
}

/** A tree, served by a process of the test's. */
export class MountedTree implements AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  /** The process that serves it. */
  readonly server: HvshProcess;

  private constructor(path: string, server: HvshProcess) {
    this.path = path;
    this.server = server;
  }

  /**
   * Mounts one.
   *
   * @param home Whose VMs it shows
   * @param name Its folder, in the home's
   */
  static async mount(home: HvshHome, name = "tree"): Promise<MountedTree> {
    const path = `${home.folder}/${name}`;
    try {
      await Deno.mkdir(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const server = home.start(["mount", path]);
    await server.until("\n");
    assert.deepEqual(JSON.parse(server.output), { mounted: path, pid: server.pid });
    return new MountedTree(path, server);
  }

  /** A file's text. */
  async read(file: string): Promise<string> {
    return await Deno.readTextFile(`${this.path}/${file}`);
  }

  /** Writes to a file as `echo` does. */
  async echo(text: string, file: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}/${file}`, `${text}\n`, { create: false });
  }

  /** Waits until a file says something. */
  async says(file: string, wanted: RegExp): Promise<string> {
    const end = performance.now() + DEADLINE;
    for (;;) {
      const text = await this.read(file);
      if (wanted.test(text)) return text;
      assert.ok(performance.now() < end, `${file} does not say ${wanted}, but ${text}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  }

  /** Looks that writing a file fails with an error number. */
  async refuses(text: string, file: string, errno: number): Promise<void> {
    await failsWith(this.echo(text, file), errno);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.kill("SIGTERM");
    const { status, stderr } = await this.server.result();
    assert.deepEqual([status, stderr], [143, ""]);
    assert.deepEqual([...Deno.readDirSync(this.path)], [], "it is mounted no more");
  }
}

/** Looks that an operation on a file fails with an error number. */
export async function failsWith(work: Promise<unknown>, errno: number): Promise<void> {
  await assert.rejects(work, (error: Error) => {
    assert.match(error.message, new RegExp(`os error ${errno}\\b`));
    return true;
  });
}
