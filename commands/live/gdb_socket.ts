/**
 * The owner's end of GDB: a socket in the VM's folder for each connection, with room for one.
 *
 * @module
 */
import type { Machine } from "../../vmm/machine.ts";
import { GdbSession } from "../../vmm/debug/gdb/session.ts";
import { GdbTarget } from "../../vmm/debug/gdb/target.ts";
import type { TargetArchitecture } from "../../vmm/debug/gdb/target_registers.ts";
import type { RunDirectory } from "./run_directory.ts";

/** Who asks for a socket connects to it at once. */
const CONNECT_MILLISECONDS = 30_000;

let sockets = 0;

/**
 * Opens a socket for one connection of GDB's.
 *
 * @param machine The VM
 * @param directory Its folder
 * @param architecture What GDB is told it is; chosen by what the VM runs if left out
 * @param failed Told if serving it failed
 * @returns Its path
 */
export async function openGdbSocket(
  machine: Machine,
  directory: RunDirectory,
  architecture: TargetArchitecture | undefined,
  failed: (error: unknown) => void,
): Promise<string> {
  const target = await GdbTarget.open(machine, architecture);
  const path = `${directory.path}/gdb-${++sockets}`;
  removeFile(path); // of an owner of this name that was killed
  const listener = Deno.listen({ transport: "unix", path });
  serveOne(listener, path, target).catch(failed);
  return path;
}

async function serveOne(
  listener: Deno.UnixListener,
  path: string,
  target: GdbTarget,
): Promise<void> {
  let connection: Deno.UnixConn;
  const close = () => {
    try {
      listener.close();
    } catch {
      // It was closed before.
    }
    removeFile(path);
  };
  const late = setTimeout(close, CONNECT_MILLISECONDS);
  const ended = target.machine.ended.then(close, close);
  try {
    connection = await Promise.race([listener.accept(), ended.then(() => Promise.reject(GONE))]);
  } catch {
    return; // nobody came, or the VM has ended
  } finally {
    clearTimeout(late);
    close();
  }
  try {
    await new GdbSession(target, {
      input: chunks(connection),
      write: (bytes) => writeAll(connection, bytes),
    }).serve();
  } finally {
    connection.close();
  }
}

const GONE = new Error("The VM has ended");

/** What comes, until the other side is gone. */
async function* chunks(connection: Deno.Conn): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(65536);
  for (;;) {
    let count: number | null;
    try {
      count = await connection.read(buffer);
    } catch {
      return;
    }
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
