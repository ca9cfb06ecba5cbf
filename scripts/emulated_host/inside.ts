/** One call: from the snapshot through the command to its exit status. */
import { join } from "node:path";
import { run } from "../setup/apt.ts";
import { hasGuest } from "../setup/guests.ts";
import { RunFolder } from "./cache.ts";
import type { Call } from "./call.ts";
import { DISK_BYTES } from "./disk_image.ts";
import { Failure } from "./failure.ts";
import { lines } from "./lines.ts";
import { Machine } from "./machine.ts";
import { copyToMark } from "./marked_stream.ts";
import { materialDisk } from "./material.ts";
import { packProject, projectFiles, TAR_BLOCK } from "./project.ts";
import { snapshot } from "./snapshot.ts";
import { transpile } from "./transpile.ts";

/**
 * Runs a command inside, with this process's stdin, stdout and stderr.
 *
 * @param project the project's folder
 * @param call what to run
 * @param cwd the folder to run it in, below the project
 * @param interrupted rejects when the call is to end early
 * @returns the command's exit status
 * @throws {Failure} if there is none
 */
export async function runInside(
  project: string,
  call: Call,
  cwd: string,
  interrupted: Promise<never>,
): Promise<number> {
  const missing = (["vmlinuz", "modules", "busybox"] as const).filter((name) => !hasGuest(name));
  if (missing.length > 0) throw new Failure("The guest kernel is missing; run: deno task setup");
  const memoryMiB = memorySize();
  await using work = await RunFolder.make();
  const mark = `\0${crypto.randomUUID()}\0`;
  const bring = async () => {
    const sources = await projectFiles(project);
    await transpile(project, sources, work.path);
    return await Promise.all([
      materialDisk(project),
      packProject(project, sources, call, cwd, mark, work.path),
    ]);
  };
  const [snap, [material, tar]] = await Promise.race([
    Promise.all([snapshot(memoryMiB), bring()]),
    interrupted,
  ]);
  const blocks = Math.ceil((await Deno.stat(tar)).size / TAR_BLOCK);
  if (blocks * TAR_BLOCK > DISK_BYTES) throw new Failure("The project is larger than 4 GiB");
  const out = join(work.path, "out.tar");
  await Deno.writeFile(out, new Uint8Array());
  for (const disk of [tar, out]) await Deno.truncate(disk, DISK_BYTES);
  await using machine = await Machine.start({
    folder: work.path,
    ram: snap.ram,
    shareRam: false,
    memoryMiB,
    disks: [
      { file: snap.hostDisk, writable: false },
      { file: material, writable: false },
      { file: tar, writable: false },
      { file: out, writable: true },
    ],
  });
  const limit = deadline(call.timeoutSeconds);
  try {
    const talk = (async () => {
      await machine.qmp.open();
      await machine.qmp.load(snap.state);
      return await converse(machine, blocks, new TextEncoder().encode(mark));
    })();
    const ended = await Promise.race([talk, limit.passed, interrupted]);
    if (ended.endsWith(" unpacked")) throw new Failure("A folder to copy back could not be packed");
    for (const folder of call.out) await copyBack(out, folder);
    return Number.parseInt(ended);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(await machine.lastWords(error.message), error.exitStatus);
  } finally {
    limit.clear();
  }
}

/** Lets the command go, passes its streams on, and gives what init.sh said at the end. */
async function converse(machine: Machine, blocks: number, mark: Uint8Array): Promise<string> {
  const { control, stdin, stdout, stderr } = machine.ports;
  await control.write(new TextEncoder().encode(`${blocks} ${Math.floor(Date.now() / 1000)}\n`));
  void feed(stdin);
  const [outEnded, errEnded, { value }] = await Promise.all([
    copyToMark(stdout.readable, mark, (bytes) => writeAll(Deno.stdout, bytes)),
    copyToMark(stderr.readable, mark, (bytes) => writeAll(Deno.stderr, bytes)),
    lines(control.readable).next(),
  ]);
  const status = /^EXIT (.*)/.exec(value ?? "")?.[1];
  if (!outEnded || !errEnded || status === undefined) {
    throw new Failure("The emulated host ended before the command did");
  }
  return status;
}

/** Half a close is an end of file that QEMU reads in its place, behind all the data. */
async function feed(stdin: Deno.UnixConn): Promise<void> {
  try {
    for await (const chunk of Deno.stdin.readable) await writeAll(stdin, chunk);
    await stdin.closeWrite();
  } catch {
    return; // the command ended without reading to the end
  }
}

async function writeAll(
  sink: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await sink.write(bytes.subarray(at));
}

async function copyBack(tar: string, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const member = folder.slice(1);
  await run("tar", ["--extract", "--file", tar, "--no-same-owner", "--directory", "/", member]);
}

function deadline(seconds: number): { passed: Promise<never>; clear(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  if (seconds === 0) return { passed: promise, clear() {} };
  const late = () => reject(new Failure(`The command took longer than ${seconds} s`, 124));
  const timer = setTimeout(late, seconds * 1000);
  return { passed: promise, clear: () => clearTimeout(timer) };
}

function memorySize(): number {
  const text = Deno.env.get("HVSH_EMULATED_MEM") ?? "2048";
  const size = Number(text);
  if (!Number.isInteger(size) || size < 512 || size > 65536) {
    throw new Failure(`Cannot use HVSH_EMULATED_MEM=${text}: it is 512 to 65536 MiB`, 2);
  }
  return size;
}
