/** Looks a program up on PATH. */

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
