/** One call: from the snapshot through the command to its exit status. */
import { join } from "node:path";
import { run } from "../setup/apt.ts";
import { hasGuest } from "../setup/guests.ts";
import { RunFolder } from "./cache.ts";
import type { Call } from "./call.ts";
import { Failure } from "./failure.ts";
import { packLine, writeInstructions } from "./instructions.ts";
import { lines } from "./lines.ts";
import { Machine } from "./machine.ts";
import { copyToMark } from "./marked_stream.ts";
import { materialDisk } from "./material.ts";
import { projectDisk } from "./project_disk.ts";
import { projectFiles } from "./project_files.ts";
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
  const instructions = join(work.path, "instructions");
  const bring = async () => {
    const sources = await projectFiles(project);
    await transpile(project, sources, work.path);
    return await Promise.all([materialDisk(project), projectDisk(project, sources)]);
  };
  const [snap, [material, files]] = await Promise.race([
    Promise.all([
      snapshot(memoryMiB),
      bring(),
      writeInstructions(instructions, project, call, cwd),
    ]),
    interrupted,
  ]);
  await using machine = await Machine.start({
    folder: work.path,
    ram: snap.ram,
    shareRam: false,
    memoryMiB,
    disks: [
      { file: snap.hostDisk, access: "read-only" },
      { file: material, access: "read-only" },
      { file: files, access: "throwaway" },
      { file: instructions, access: "writable" },
    ],
  });
  const limit = deadline(call.timeoutSeconds);
  try {
    const talk = (async () => {
      await machine.qmp.open();
      await machine.qmp.load(snap.state);
      return await converse(machine, call.out);
    })();
    const status = await Promise.race([talk, limit.passed, interrupted]);
    for (const folder of call.out) await copyBack(instructions, folder);
    // 128 + SIGKILL: worth a word if it was the kernel's doing.
    if (status === 137) await writeAll(Deno.stderr, await memoryNote(machine, memoryMiB));
    return status;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(await machine.lastWords(error.message), error.exitStatus);
  } finally {
    limit.clear();
  }
}

/** Lets the command go, passes its streams on, and gives its status when all is said. */
async function converse(machine: Machine, out: string[]): Promise<number> {
  const { control, stdin, stdout, stderr } = machine.ports;
  const bytes = (text: string) => new TextEncoder().encode(text);
  // It begins with a byte that hardly any output holds, so that nothing is kept waiting.
  const mark = `\x1f${crypto.randomUUID()}`;
  const answers = lines(control.readable);
  await writeAll(control, bytes(`${mark}\n`));
  void feed(stdin);
  const [outEnded, errEnded, { value: status }] = await Promise.all([
    copyToMark(stdout.readable, bytes(mark), (piece) => writeAll(Deno.stdout, piece)),
    copyToMark(stderr.readable, bytes(mark), (piece) => writeAll(Deno.stderr, piece)),
    answers.next(),
  ]);
  if (!outEnded || !errEnded || status === undefined) {
    throw new Failure("The emulated host ended before the command did");
  }
  if (out.length > 0) {
    await writeAll(control, bytes(packLine(out)));
    const { value: packed } = await answers.next();
    if (packed !== "0") throw new Failure("What --out names could not be packed inside");
  }
  return Number(status);
}

/** Half a close is an end of file that QEMU reads in its place, behind all the data. */
async function feed(stdin: Deno.UnixConn): Promise<void> {
  const copied = (async () => {
    for await (const chunk of Deno.stdin.readable) await writeAll(stdin, chunk);
  })();
  await copied.catch(() => {}); // there is no stdin, or the machine ended before it was read
  await stdin.closeWrite().catch(() => {});
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

async function memoryNote(machine: Machine, memoryMiB: number): Promise<Uint8Array> {
  const lines = await machine.outOfMemory();
  if (lines.length === 0) return new Uint8Array();
  const text = ["emulated-host: Its memory ran out", ...lines].join("\n  ");
  return new TextEncoder().encode(`${text}\n  more: HVSH_EMULATED_MEM=${memoryMiB * 2}\n`);
}

function memorySize(): number {
  const text = Deno.env.get("HVSH_EMULATED_MEM") ?? "2048";
  const size = Number(text);
  if (!Number.isInteger(size) || size < 512 || size > 65536) {
    throw new Failure(`Cannot use HVSH_EMULATED_MEM=${text}: it is 512 to 65536 MiB`, 2);
  }
  return size;
}
