/**
 * Opens what stands behind a network device, in the main thread, before the VM is made.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { DocumentError, HostError, HvshError, VmError } from "../../../ffi/errors.ts";
import { Errno } from "../../../ffi/errno.ts";
import { closeFile } from "../../../ffi/files.ts";
import { NetworkInterfaces } from "../../../ffi/network_interface.ts";
import { inNetworkNamespace } from "../../../ffi/network_namespace.ts";
import { hasSlirp } from "../../../ffi/slirp.ts";
import { openTap, setTapOffload, type Tap, TapOffload } from "../../../ffi/tap.ts";
import { tryUdpPort } from "../../../ffi/udp_port.ts";
import { connectUnixSocket } from "../../../ffi/unix_socket.ts";
import type { PrepareContext, Prepared } from "../../device.ts";
import { ipv4Text, macText, parseCidr, parseMac } from "./addresses.ts";
import { type Forward, parseForward } from "./forward.ts";
import type { NetConfig, NetDocument, OpenedBackend } from "./net_config.ts";
import { findPasst, isUnversioned, Passt } from "./passt.ts";

const DEFAULT_INTERFACE = "hvsh%d";
/** What libslirp tells the guest's TCP if nobody says otherwise. */
const SLIRP_MTU = 1500;
const SOCKET_PREFIX = "unix:";

/** An opened backend and how it is closed. */
interface Opened {
  readonly backend: OpenedBackend;
  readonly close: () => void | Promise<void>;
}

/**
 * Opens a network device's backend, and gives the device a MAC address if it has none.
 *
 * @param document The device's entry, checked
 * @param context Names, and where to tell what happened
 * @returns The configuration for every thread
 * @throws {HostError} If something of the host's is not there or not allowed
 * @throws {DocumentError} If the entry contradicts itself
 * @throws {VmError} If passt does not start
 */
export async function prepareNet(
  document: NetDocument,
  context: PrepareContext,
): Promise<Prepared<NetConfig>> {
  refuseIdle(document, context.name);
  const mac = document.mac ?? macOf(context.vm, context.name);
  const config = { ...document, mac };
  const { backend, close } = await open(config, context);
  return {
    config: { ...config, opened: backend },
    async [Symbol.asyncDispose]() {
      await close();
    },
  };
}

/**
 * A device's own MAC address: locally administered, the same whenever a VM of this name runs, and
 * another one each time for a VM without a name.
 *
 * @param vm The VM's name
 * @param device The device's
 * @returns As text
 */
export function macOf(vm: string | undefined, device: string): string {
  const bytes = vm === undefined
    ? randomBytes(6)
    : createHash("sha256").update(`${vm}\0${device}`).digest();
  // IEEE 802c: the lowest bit is for groups, the next says that nobody assigned the address.
  const first = (bytes[0]! & 0xfc) | 0x02;
  return macText([first, ...bytes.subarray(1, 6)]);
}

function refuseIdle(document: NetDocument, name: string): void {
  const { backend, forward, queues } = document;
  const user = backend === "user" || backend === "passt" || backend === "slirp";
  const refuse = (what: string, wants: string) => {
    throw new DocumentError(`Device ${name}: "${what}" is not for the backend "${backend}"`, {
      hint: `it is for ${wants}`,
    });
  };
  if (forward.length > 0 && !user) refuse("forward", "user networks");
  if (backend === "tap") return;
  for (const key of ["interface", "netns", "address"] as const) {
    if (document[key] !== undefined) refuse(key, "taps");
  }
  if (queues > 1) refuse("queues", "taps");
}

async function open(config: NetDocument & { mac: string }, context: PrepareContext) {
  const { backend } = config;
  if (backend === "tap") return openTapBackend(config);
  if (backend.startsWith(SOCKET_PREFIX)) {
    const fd = connectUnixSocket(backend.slice(SOCKET_PREFIX.length));
    return { backend: { kind: "stream", fd }, close: () => closeFile(fd) } satisfies Opened;
  }
  const forwards = config.forward.map(parseForward);
  refuseTakenPorts(forwards);
  if (backend === "slirp") return openSlirp(forwards, config.mtu);
  const program = findPasst();
  if (program === undefined) {
    if (backend === "user" && hasSlirp()) return openSlirp(forwards, config.mtu);
    throw new VmError(
      backend === "user" ? "Neither passt nor libslirp is there" : "passt is not on PATH",
      { hint: "install passt, or libslirp0 (Debian, Ubuntu), libslirp (Fedora, Arch)" },
    );
  }
  if (backend === "user" && hasSlirp() && await isUnversioned(program)) {
    return openSlirp(forwards, config.mtu);
  }
  try {
    return await openPasst(program, forwards, config);
  } catch (error) {
    // Where passt may not make its sandbox (some containers) the library still does.
    if (backend === "passt" || !(error instanceof HvshError) || !hasSlirp()) throw error;
    context.event({ kind: "error", message: `${error.message}; libslirp is used instead` });
    return openSlirp(forwards, config.mtu);
  }
}

function openTapBackend(config: NetDocument): Opened {
  const { netns } = config;
  const tap = netns === undefined
    ? setUpTap(config)
    : inNetworkNamespace(netns, () => setUpTap(config));
  const { name, fds } = tap;
  return {
    backend: { kind: "tap", name, fds, offloads: knownOffloads(fds[0]!) },
    close: () => fds.forEach(closeFile),
  };
}

/** In the namespace of the calling thread: what was there before keeps its settings. */
function setUpTap(config: NetDocument): Tap {
  using interfaces = new NetworkInterfaces();
  const wanted = config.interface ?? DEFAULT_INTERFACE;
  const own = !interfaces.has(wanted);
  const tap = openTap(wanted, config.queues);
  try {
    if (config.address !== undefined) interfaces.setAddress(tap.name, parseCidr(config.address)!);
    if (own && config.mtu !== undefined) interfaces.setMtu(tap.name, config.mtu);
    interfaces.up(tap.name);
    return tap;
  } catch (error) {
    tap.fds.forEach(closeFile);
    throw error;
  }
}

/** Asks the kernel by setting them; the driver of the guest sets its own later. */
function knownOffloads(fd: number): number {
  const { CSUM, TSO4, TSO6, TSO_ECN, UFO, USO4, USO6 } = TapOffload;
  const segments = CSUM | TSO4 | TSO6 | TSO_ECN;
  const candidates = [
    segments | UFO | USO4 | USO6,
    segments | USO4 | USO6,
    segments | UFO,
    segments,
    CSUM,
  ];
  const known = candidates.find((offloads) => setTapOffload(fd, offloads)) ?? 0;
  setTapOffload(fd, 0);
  return known;
}

function openSlirp(forwards: readonly Forward[], mtu = SLIRP_MTU): Opened {
  if (!hasSlirp()) {
    throw new HostError("dlopen", Errno.ENOENT, {
      path: "libslirp.so.0",
      hint: "install libslirp0 (Debian, Ubuntu) or libslirp (Fedora, Arch), or passt",
    });
  }
  return { backend: { kind: "slirp", forwards, mtu }, close: () => {} };
}

async function openPasst(
  program: string,
  forwards: readonly Forward[],
  { mtu, mac }: { mtu?: number | undefined; mac: string },
): Promise<Opened> {
  const passt = await Passt.start({
    program,
    forwards,
    mac: parseMac(mac)!,
    ...(mtu === undefined ? {} : { mtu }),
  });
  return {
    backend: { kind: "stream", fd: passt.fd },
    close: () => passt[Symbol.asyncDispose](),
  };
}

/** A port that somebody has is told of now, and in the same words whoever would listen. */
function refuseTakenPorts(forwards: readonly Forward[]): void {
  for (const { protocol, address, hostPort } of forwards) {
    const hostname = ipv4Text(address);
    try {
      if (protocol === "tcp") Deno.listen({ hostname, port: hostPort }).close();
      else tryUdpPort(address, hostPort);
    } catch (error) {
      throw new VmError(
        `Cannot forward ${protocol} port ${hostPort} of ${hostname}: ` +
          (error as Error).message,
        { cause: error, hint: "another process has it, or it wants a privilege; choose another" },
      );
    }
  }
}
