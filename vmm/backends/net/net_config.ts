/**
 * A network device's entry in the document, and what is opened for it.
 *
 * @module
 */
import * as v from "valibot";
import { RateLimitSchema } from "../../virtio/rate_limit.ts";
import { parseCidr, parseMac } from "./addresses.ts";
import { type Forward, parseForward } from "./forward.ts";

/** More pairs are of no use to the one thread that works them. */
const MOST_QUEUES = 16;
/** What the guest's kernel takes (§5.1.4: at least 1280 to be of use to IPv6; 68 is IPv4's least). */
const LEAST_MTU = 68;
/** What fits into the longest frame, and libslirp's limit. */
const MOST_MTU = 65521;

const mac = v.pipe(
  v.string(),
  v.check((text) => parseMac(text) !== undefined, "is no device's MAC address, 52:54:00:12:34:56"),
);

const forward = v.pipe(v.string(), v.check((text) => complaint(text) === undefined, forwardIssue));

const cidr = v.pipe(
  v.string(),
  v.check((text) => parseCidr(text) !== undefined, "is not an IPv4 address such as 10.0.0.1/24"),
);

const path = v.pipe(v.string(), v.nonEmpty(), v.check((s) => !s.includes("\0"), "has a NUL byte"));

/** The schema of the entry. */
export const NetSchema = v.looseObject({
  /**
   * `user` for a network without privileges (passt where it is installed, else libslirp), `passt` or
   * `slirp` for that one, `tap` for an interface of the host, `unix:PATH` for a stream socket with
   * the framing of QEMU's `-netdev stream`.
   */
  backend: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^(user|passt|slirp|tap|unix:[^\0]+)$/,
        "is not user, passt, slirp, tap or unix:PATH",
      ),
    ),
    "user",
  ),
  /** Ports of the host that lead to the guest, `tcp:8080:80`; for user networks. */
  forward: v.optional(v.array(forward), []),
  /** The tap's name; left out, the first free `hvsh%d`. */
  interface: v.optional(v.pipe(v.string(), v.regex(/^[^\s/]{1,15}$/, "is no interface's name"))),
  /** File of the network namespace that the tap is in. */
  netns: v.optional(path),
  /** The host's own IPv4 address on the tap, with its prefix length. */
  address: v.optional(cidr),
  /** Left out, it follows from the names of VM and device. */
  mac: v.optional(mac),
  /** Bytes of the longest packet that the guest should send. */
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(LEAST_MTU), v.maxValue(MOST_MTU))),
  /** Pairs of queues; more than one for a tap only. */
  queues: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_QUEUES)),
    1,
  ),
  /** How much a second moves, in each direction. */
  limit: v.optional(RateLimitSchema),
});

/** A network device's entry in the document. */
export type NetDocument = v.InferOutput<typeof NetSchema>;

/** What stands behind the device, open: descriptors as numbers. */
export type OpenedBackend =
  | {
    readonly kind: "tap";
    /** The interface's name. */
    readonly name: string;
    /** A descriptor for each queue pair. */
    readonly fds: readonly number[];
    /** The {@linkcode TapOffload}s that the kernel knows. */
    readonly offloads: number;
  }
  | { readonly kind: "stream"; readonly fd: number }
  | { readonly kind: "slirp"; readonly forwards: readonly Forward[]; readonly mtu: number };

/** The configuration that the device is opened with. */
export interface NetConfig extends NetDocument {
  /** Filled in by {@linkcode prepareNet}. */
  readonly opened?: OpenedBackend;
}

function complaint(text: string): string | undefined {
  try {
    parseForward(text);
    return undefined;
  } catch (error) {
    return (error as TypeError).message;
  }
}

function forwardIssue({ input }: { input: string }): string {
  return complaint(input)!;
}
