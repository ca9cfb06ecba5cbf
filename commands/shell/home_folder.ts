/**
 * The home folders of users (passwd(5)).
 *
 * @module
 */

/**
 * @param user A user's name
 * @returns Their home folder; undefined if there is no such user
 */
export function homeOf(user: string): string | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync("/etc/passwd");
  } catch {
    return undefined;
  }
  const line = text.split("\n").find((line) => line.startsWith(`${user}:`));
  return line?.split(":")[5];
}
