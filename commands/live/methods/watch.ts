/**
 * Watching a VM: what is counted, its exits, where its vCPUs stand.
 *
 * @module
 */
import { UsageError } from "../../../ffi/errors.ts";
import {
  exitToJson,
  type ProfileRequest,
  sampleToJson,
  type TraceRequest,
} from "../../watch/wire.ts";
import type { RpcClient } from "../json_rpc.ts";
import type { MethodGroup } from "../methods.ts";

/** Records of one message, which is to stay well below a line's limit. */
const MOST_RECORDS = 1000;

/** The group `watch`. */
export const methods: MethodGroup = ({ machine }) => ({
  figures: async () => ({
    state: machine.state,
    memory: machine.memorySize,
    records: await machine.watch.figures(),
  }),
  trace: async (params, client) => {
    const { traceExits } = await import("../../../vmm/debug/exit_trace.ts");
    const options = { ...traceRequest(params), signal: client.gone };
    for await (const exits of traceExits(machine.watch, options)) {
      await send(client, "exits", exits.map(exitToJson));
    }
  },
  profile: async (params, client) => {
    const { profile } = await import("../../../vmm/debug/profile.ts");
    const options = { ...profileRequest(params), signal: client.gone };
    for await (const samples of profile(machine.watch, options)) {
      await send(client, "samples", samples.map(sampleToJson));
    }
  },
});

async function send(client: RpcClient, method: string, records: readonly unknown[]) {
  let start = 0;
  do { // nothing is said too: that it is on
    await client.notify(method, records.slice(start, start + MOST_RECORDS));
    start += MOST_RECORDS;
  } while (start < records.length);
}

type Params = Readonly<Record<string, unknown>>;

function traceRequest(params: Params): TraceRequest {
  return {
    ...list(params, "reasons", "string"),
    ...span(params, "ports"),
    ...span(params, "addresses"),
    ...one(params, "device", "string"),
    ...list(params, "cpus", "number"),
    ...one(params, "count", "number"),
    ...one(params, "seconds", "number"),
  };
}

function profileRequest(params: Params): ProfileRequest {
  return {
    ...one(params, "frequency", "number"),
    ...list(params, "cpus", "number"),
    ...one(params, "seconds", "number"),
  };
}

const isString = (value: unknown) => typeof value === "string";
const isNumber = (value: unknown) => typeof value === "number";

/** A parameter that may be left out. */
function one(params: Params, name: string, type: "string" | "number") {
  const value = params[name];
  if (value === undefined) return {};
  if ((type === "string" ? isString : isNumber)(value)) return { [name]: value };
  throw new UsageError(`${name} is not a ${type}`);
}

function list(params: Params, name: string, type: "string" | "number") {
  const values = params[name];
  if (values === undefined) return {};
  if (Array.isArray(values) && values.every(type === "string" ? isString : isNumber)) {
    return { [name]: values };
  }
  throw new UsageError(`${name} is not a list of ${type}s`);
}

function span(params: Params, name: string) {
  const value = params[name] as { base?: unknown; end?: unknown } | undefined;
  if (value === undefined) return {};
  const { base, end } = value ?? {};
  if (typeof base === "number" && typeof end === "number") return { [name]: { base, end } };
  throw new UsageError(`${name} is not a range from "base" to "end"`);
}
