/**
 * How much there is to read, and how far another process has come with it, as the kernel tells (proc(5)).
 *
 * @module
 */

/**
 * How many bytes a process has read of a file.
 *
 * @param pid The process
 * @param path The file, as the kernel names it; its stdin if left out
 * @returns Bytes; undefined if it has not opened the file, or has ended
 */
export function readPosition(pid: number, path?: string): number | undefined {
  try {
    const fd = path === undefined ? "0" : descriptorOf(pid, path);
    if (fd === undefined) return undefined;
    const isFile = Deno.statSync(`/proc/${pid}/fd/${fd}`).isFile;
    // A pipe has no position; what else the process reads is little beside a stream.
    return isFile
      ? number(`/proc/${pid}/fdinfo/${fd}`, /^pos:\t(\d+)$/m)
      : number(`/proc/${pid}/io`, /^rchar: (\d+)$/m);
  } catch {
    return undefined; // it has ended, or is another user's by now
  }
}

function descriptorOf(pid: number, path: string): string | undefined {
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    if (Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === path) return name;
  }
  return undefined;
}

function number(path: string, pattern: RegExp): number | undefined {
  const text = pattern.exec(Deno.readTextFileSync(path))?.[1];
  return text === undefined ? undefined : Number(text);
}

/**
 * How much there is to read.
 *
 * @param file A file's path, or a descriptor
 * @returns Bytes; undefined of a pipe or folder, or if it is not there, which who reads it says
 */
export function fileSize(file: string | number | undefined): number | undefined {
  if (file === undefined) return undefined;
  try {
    const { isFile, size } = Deno.statSync(
      typeof file === "string" ? file : `/proc/self/fd/${file}`,
    );
    return isFile ? size : undefined;
  } catch {
    return undefined;
  }
}
