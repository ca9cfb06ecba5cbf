/** Tells what is installed. */

/**
 * Finds a program the way a shell does, and in the folders of the administrator's programs too:
 * mkfs.ext4 lives in /usr/sbin, which is seldom on a user's PATH.
 *
 * @param program its name
 * @returns its path, or undefined if there is none
 */
export function findProgram(program: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":").concat("/usr/sbin", "/sbin");
  for (const folder of folders) {
    if (folder === "") continue;
    try {
      const path = `${folder}/${program}`;
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      continue; // a folder of PATH that is not there or not ours to read
    }
  }
  return undefined;
}

/**
 * Tells whether a program or a library is there.
 *
 * @param name a program's name, or that by which a library is loaded: `libslirp.so.0`
 * @returns true if it can be run or loaded
 */
export function isInstalled(name: string): boolean {
  if (!name.includes(".so.")) return findProgram(name) !== undefined;
  try {
    Deno.dlopen(name, {}).close();
    return true;
  } catch {
    return false;
  }
}
