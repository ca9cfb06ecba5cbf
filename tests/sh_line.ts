/**
 * Runs lines as a person types them in sh, with `hvsh` on PATH.
 *
 * @module
 */
const SCRIPTS = decodeURIComponent(new URL("../scripts", import.meta.url).pathname);

/** What a line did. */
export interface LineResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a line. It has ended when every process of it has: each holds the pipe of stderr.
 *
 * @param line The line
 * @param options The folder it runs in, what is on its stdin, more of its environment
 * @returns What it printed and its exit status
 */
export async function shLine(
  line: string,
  { cwd, stdin = "", env = {} }: {
    cwd?: string;
    stdin?: string | Uint8Array;
    env?: Record<string, string>;
  } = {},
): Promise<LineResult> {
  const child = new Deno.Command("sh", {
    args: ["-c", line],
    ...(cwd === undefined ? {} : { cwd }),
    env: {
      HVSH_DENO: Deno.execPath(),
      PATH: `${SCRIPTS}:${Deno.env.get("PATH")}`,
      NO_COLOR: "1",
      ...env,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin)
    .then(() => writer.close()).catch(() => {}); // it need not read all of it
  const { code, stdout, stderr } = await child.output();
  await written;
  const decoder = new TextDecoder();
  return { status: code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A folder of a test's own, removed at its end. */
export class TestFolder implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "hvsh test " });

  /**
   * Writes a file.
   *
   * @returns Its path
   */
  write(name: string, content: string | Uint8Array = ""): string {
    const path = `${this.path}/${name}`;
    Deno.writeFileSync(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
