/** What setup asks of Debian's package tools. */

/** A step of setup that cannot go on, with the words for the user. */
export class SetupError extends Error {
  override name = "SetupError";
}

/**
 * Runs a program to its end and gives what it printed.
 *
 * @param program its name or path
 * @param args its arguments
 * @param cwd the folder it runs in
 * @returns its stdout
 * @throws {SetupError} if it cannot start or exits with another status than 0, with its last words
 */
export async function run(program: string, args: string[], cwd?: string): Promise<string> {
  const command = new Deno.Command(program, {
    args,
    env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    ...(cwd === undefined ? {} : { cwd }),
  });
  const { code, stdout, stderr } = await command.output().catch((error: Error) => {
    throw new SetupError(`Cannot start ${program}: ${error.message}`);
  });
  if (code !== 0) {
    const said = new TextDecoder().decode(stderr).trim().split("\n").slice(-5).join("\n");
    throw new SetupError(`${program} ${args.join(" ")} failed with status ${code}\n${said}`);
  }
  return new TextDecoder().decode(stdout);
}

/** Root may have apt read and write folders that its sandbox user _apt cannot. */
const SANDBOX = ["-o", "APT::Sandbox::User=root"];

/** True if this process may change what is installed. */
export const isRoot = (): boolean => Deno.uid() === 0;

/** The words that tell a user how to install packages by hand. */
export const installCommand = (packages: string[]): string =>
  `sudo apt-get update && sudo apt-get install --no-install-recommends ${packages.join(" ")}`;

/**
 * Installs packages. Wants root.
 *
 * @param packages their names
 */
export async function install(packages: string[]): Promise<void> {
  await withFreshLists(() =>
    run("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...packages])
  );
}

/**
 * Fetches packages and unpacks their files into a folder without installing anything.
 *
 * @param packages their names
 * @param folder an existing folder, for the files
 * @returns the version of each package
 */
export async function unpack(
  packages: string[],
  folder: string,
): Promise<Record<string, string>> {
  const archives = await Deno.makeTempDir({ prefix: "hvsh-setup-" });
  try {
    await withFreshLists(() =>
      run("apt-get", ["download", "-q", ...(isRoot() ? SANDBOX : []), ...packages], archives)
    );
    const versions: Record<string, string> = {};
    for await (const { name } of Deno.readDir(archives)) {
      const archive = `${archives}/${name}`;
      const fields = await run("dpkg-deb", [
        "--show",
        "--showformat=${Package} ${Version}",
        archive,
      ]);
      const [packageName = name, version = ""] = fields.split(" ");
      versions[packageName] = version;
      await run("dpkg-deb", ["--extract", archive, folder]);
    }
    return versions;
  } finally {
    await Deno.remove(archives, { recursive: true });
  }
}

/**
 * The newest kernel package that a meta-package such as linux-image-cloud-amd64 stands for.
 *
 * @param meta the meta-package
 * @returns the package that it depends on
 * @throws {SetupError} if apt does not know it
 */
export async function resolveKernel(meta: string): Promise<string> {
  return await withFreshLists(async () => {
    const fields = await run("apt-cache", ["show", "--no-all-versions", meta]);
    const name = /^Depends:.*?\b(linux-image-\d\S+)/m.exec(fields)?.[1];
    if (name === undefined) throw new SetupError(`The package ${meta} depends on no linux-image`);
    return name;
  });
}

/** The lists of a new machine are empty, those of an old one name packages that are gone. */
async function withFreshLists<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof SetupError) || !isRoot() || listsAreFresh) throw error;
    await run("apt-get", ["update", "-q"]);
    listsAreFresh = true;
    return await step();
  }
}

let listsAreFresh = false;
