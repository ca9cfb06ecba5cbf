/**
 * Files that a stage's words name.
 *
 * @module
 */
import { errnoName } from "../ffi/errno.ts";
import { ImageError, UsageError } from "../ffi/errors.ts";
import { hostErrno } from "./host_errno.ts";

/**
 * Makes a path absolute. `..` stays, since what it means behind a symbolic link only the kernel knows.
 *
 * @param path A path as the person wrote it
 * @param cwd The folder that relative paths start from
 * @returns The same path from the root
 */
export function absolutePath(path: string, cwd: string): string {
  const parts = (path.startsWith("/") ? path : `${cwd}/${path}`).split("/");
  return "/" + parts.filter((part) => part !== "" && part !== ".").join("/");
}

/**
 * Makes the path of an image absolute and looks whether a file is there: better now than in the last
 * stage, perhaps on another terminal line.
 *
 * @param path A path as the person wrote it
 * @param cwd The folder that relative paths start from
 * @returns The same path from the root
 * @throws {ImageError} If there is nothing, or no plain file
 * @throws {UsageError} If it is `-`
 */
export function imagePath(path: string, cwd: string): string {
  if (path === "-") {
    throw new UsageError("Cannot read an image from stdin, where the VM document is", {
      hint: "hvsh run --flat -; a file of that name is ./-",
    });
  }
  if (path.includes("\0")) throw new ImageError(`The path ${JSON.stringify(path)} has a NUL byte`);
  const absolute = absolutePath(path, cwd);
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(absolute);
  } catch (error) {
    throw new ImageError(`${path}: ${refusal(error)}`, { cause: error });
  }
  if (found.isFile) return absolute;
  throw new ImageError(`${path} is ${kind(found)}, not a file`, {
    ...(found.isFifo ? { hint: "an image is read more than once; write it to a file first" } : {}),
  });
}

/**
 * Makes the path of a folder absolute and looks whether a folder is there.
 *
 * @param path A path as the person wrote it
 * @param cwd The folder that relative paths start from
 * @returns The same path from the root
 * @throws {ImageError} If there is nothing, or no folder
 */
export function folderPath(path: string, cwd: string): string {
  if (path.includes("\0")) throw new ImageError(`The path ${JSON.stringify(path)} has a NUL byte`);
  const absolute = absolutePath(path, cwd);
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(absolute);
  } catch (error) {
    throw new ImageError(`${path}: ${refusal(error)}`, { cause: error });
  }
  if (found.isDirectory) return absolute;
  throw new ImageError(`${path} is ${found.isFile ? "a file" : kind(found)}, not a folder`);
}

/**
 * Makes the path of a disk absolute and looks whether an image or a block device is there.
 *
 * @param path A path as the person wrote it
 * @param cwd The folder that relative paths start from
 * @returns The same path from the root
 * @throws {ImageError} If there is nothing, or neither of them
 */
export function diskPath(path: string, cwd: string): string {
  if (path.includes("\0")) throw new ImageError(`The path ${JSON.stringify(path)} has a NUL byte`);
  const absolute = absolutePath(path, cwd);
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(absolute);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    throw new ImageError(`${path}: ${refusal(error)}`, {
      cause: error,
      ...(missing ? { hint: `truncate -s 1G ${path} makes an empty disk of 1 GiB` } : {}),
    });
  }
  if (found.isFile || found.isBlockDevice === true) return absolute;
  throw new ImageError(`${path} is ${kind(found)}, no disk`, {
    ...(found.isDirectory ? { hint: `hvsh share ${path} shows the guest a folder` } : {}),
  });
}

/**
 * Says why the host refused a file.
 *
 * @param error What Deno threw
 * @returns `no such file or directory (ENOENT)`
 */
export function refusal(error: unknown): string {
  const errno = hostErrno(error);
  if (errno === undefined) return String(error);
  const { code, text } = errnoName(errno);
  return `${text} (${code})`;
}

function kind(found: Deno.FileInfo): string {
  if (found.isDirectory) return "a folder";
  if (found.isFifo) return "a FIFO";
  if (found.isSocket) return "a socket";
  if (found.isCharDevice || found.isBlockDevice) return "a device";
  return "something else";
}
