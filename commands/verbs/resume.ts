/**
 * `hvsh resume`: let paused VMs go on.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { eachVm, request, vmNames } from "../live/clients.ts";
import { RpcConnection } from "../live/rpc_connection.ts";
import type { ExitRecord } from "../live/owner.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

/** setTimeout's own limit. */
const MOST_DELAY = 2 ** 31 - 1;

/** The row of `resume`. */
export const verb: Verb = {
  name: "resume",
  summary: "Let paused VMs go on",
  description:
    "Lets the vCPUs of paused VMs run again and passes the handles on. With --wait it waits for the ends " +
    "of the VMs as `hvsh wait` does; the exit status is that of the last.",
  group: "live",
  flags: {
    wait: { help: "wait for each VM's end and print a line for it" },
    timeout: {
      value: "seconds",
      metavar: "SECONDS",
      help: "with --wait: end a VM after that, with status 124",
    },
  },
  arguments: [{ ...vmNames, value: "paused-vm" }],
  reads: "handles",
  writes: "handles",
  examples: [
    { line: "hvsh resume web", needs: "kvm" },
    { line: "hvsh fork gold --rm | hvsh resume --wait --timeout 1", needs: "kvm" },
  ],
  async run(words, context) {
    if (words.wait !== true) {
      if (words.timeout !== undefined) {
        throw new UsageError("--timeout does nothing without --wait");
      }
      return await eachVm(words, context, (vm) => request(vm, "resume"));
    }
    return await resumeAndWait(words, context);
  },
};

async function resumeAndWait(words: Words, context: VerbContext): Promise<number> {
  let status = 0;
  const one = async (vm: RunDirectory) => {
    const record = await exitOf(vm, words.timeout as number | undefined);
    status = record.status;
    return record;
  };
  const failed = await eachVm(words, context, one);
  return failed === 0 ? status : failed;
}

/** Asks for the end before it can come, so that none is missed. */
async function exitOf(vm: RunDirectory, seconds: number | undefined): Promise<ExitRecord> {
  using connection = await RpcConnection.open(vm.control);
  const ended = connection.call("control.wait") as Promise<ExitRecord>;
  ended.catch(() => {}); // it is awaited below
  await connection.call("control.resume");
  if (seconds === undefined) return await ended;
  const late = () => void connection.call("control.kill", { timeout: true }).catch(() => {});
  const timer = setTimeout(late, Math.min(seconds * 1000, MOST_DELAY));
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
  }
}
