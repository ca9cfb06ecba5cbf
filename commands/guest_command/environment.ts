/**
 * The environment of a command in a guest: what of this process's is about the person and the files,
 * and not about the host's system.
 *
 * @module
 */

/** Where commands are if nothing says so (POSIX.1-2017 XBD 8.3 leaves it to the system). */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const PASSED = /^(HOME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|COLORTERM|NO_COLOR|EDITOR|PAGER|SHELL)$/;

/**
 * Chooses the environment.
 *
 * @param host This process's own
 * @returns Names and values; PATH is always there
 */
export function commandEnvironment(
  host: Readonly<Record<string, string>>,
): Record<string, string> & { PATH: string } {
  const passed = Object.entries(host).filter(([name]) => PASSED.test(name));
  return {
    HOME: "/",
    ...Object.fromEntries(passed),
    PATH: host.PATH || DEFAULT_PATH,
    USER: "root", // which it is in the guest
    LOGNAME: "root",
  };
}
