/**
 * Runs a session of the documentation as it is written, in sh and in hvsh's own shell.
 *
 * @module
 */
import assert from "node:assert/strict";
import { filesBelow } from "./leaks.ts";
import type { HvshHome, HvshProcess, HvshResult } from "./run_hvsh.ts";

/** What is written, and what runs. */
export type Substitution = readonly [written: string, run: string];

/** A session: some lines that somebody types. */
export interface Session {
  /** What is typed. */
  readonly text: string;
  /** In sh's form it wants bash, whose printf knows `\xHH`; POSIX's does not. */
  readonly bash?: boolean;
  /** Words of it that a test has others for. */
  readonly instead?: readonly Substitution[];
  /** Host programs that it wants besides those of every Debian. */
  readonly programs?: readonly string[];
  /** Makes what it starts from, in an empty folder: files, VMs that run. */
  readonly before?: (home: HvshHome) => Promise<void> | void;
  /** The folder is the home of who types. */
  readonly atHome?: boolean;
  /** What is typed into the programs that it starts. */
  readonly stdin?: string;
  /** What happens elsewhere while it runs. */
  readonly meanwhile?: (home: HvshHome, process: HvshProcess) => Promise<void>;
  /** Looks at what was seen. */
  readonly after: (result: HvshResult, home: HvshHome) => Promise<void> | void;
}

/** Who reads a session. */
export type Shell = "sh" | "hvsh";

/** The shells that a session runs in. */
export const SHELLS: readonly Shell[] = ["sh", "hvsh"];

/** Where the other host of a session has its live VMs, in the folder of the test. */
export const FAR_RUNTIME = "far";

/**
 * Programs of other people's that a session is not about. What `ssh` reaches is this host, with live
 * VMs of its own.
 */
const STAND_INS: Readonly<Record<string, string>> = {
  "ssh": `shift; XDG_RUNTIME_DIR=$PWD/${FAR_RUNTIME} exec sh -c "$*"`,
  "flamegraph.pl": "exec cat",
  "cowsay": "exec cat",
};

/**
 * Runs a session from its beginning, and ends what it leaves running.
 *
 * @param home An empty folder
 * @param session The session
 * @param shell What reads it
 */
export async function runSession(home: HvshHome, session: Session, shell: Shell): Promise<void> {
  try {
    await session.before?.(home);
    await typeSession(home, session, shell);
  } finally {
    await endVms(home);
  }
}

/**
 * Has a shell read a session, and looks at what is seen.
 *
 * @param home The folder with what it starts from
 * @param session The session
 * @param shell What reads it
 */
export async function typeSession(home: HvshHome, session: Session, shell: Shell): Promise<void> {
  Deno.mkdirSync(`${home.folder}/bin`, { recursive: true });
  for (const [name, text] of Object.entries(STAND_INS)) {
    Deno.chmodSync(home.write(`bin/${name}`, `#!/bin/sh\n${text}\n`), 0o755);
  }
  Deno.mkdirSync(`${home.folder}/${FAR_RUNTIME}`, { recursive: true, mode: 0o700 });
  home.write("session", `${runText(session)}\n`);
  const reader = shell === "sh" && session.bash ? "bash" : shell;
  // Deno keeps what it has compiled where it was.
  const atHome = session.atHome
    ? 'XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}" HOME="$PWD" '
    : "";
  const line = `${atHome}PATH="$PWD/bin:$PATH" exec ${reader} session`;
  await using process = home.startLine(line, session.stdin);
  await session.meanwhile?.(home, process);
  await session.after(await process.result(), home);
}

/** The text that runs: with other words where the test has them. */
function runText({ text, instead = [] }: Session): string {
  for (const [written, run] of instead) {
    assert.ok(text.includes(written), `It has no "${written}"`);
    text = text.replace(written, run);
  }
  return text;
}

/** Ends the VMs here and on the other host. */
export async function endVms(home: HvshHome): Promise<void> {
  for (const runtime of [home.runtime, `${home.folder}/${FAR_RUNTIME}`]) {
    for (const name of filesBelow(`${runtime}/hvsh`).filter((path) => !path.includes("/"))) {
      const hvsh = `XDG_RUNTIME_DIR='${runtime}' hvsh`;
      await home.line(`${hvsh} kill ${name}; ${hvsh} wait ${name}`);
    }
    assert.deepEqual(filesBelow(`${runtime}/hvsh`), [], "VMs have left files");
  }
}
