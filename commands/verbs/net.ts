/**
 * `net`: a network card.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { parseCidr, parseMac } from "../../vmm/backends/net/addresses.ts";
import { parseForward } from "../../vmm/backends/net/forward.ts";
import { absolutePath } from "../image_path.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb, Words } from "../verb.ts";

const SOCKET = "unix:";
const USER_NETWORKS = ["user", "passt", "slirp"];
const LONGEST_INTERFACE = 15;
const MTU = { least: 68, most: 65521 };
const MOST_QUEUES = 16;

/** What means nothing for each kind of network. */
const IDLE = {
  socket: ["interface", "netns", "address", "queues", "forward"],
  user: ["interface", "netns", "address", "queues"],
  tap: ["forward"],
} as const;

type Entry = Record<string, unknown>;

/** What an entry's network leaves nothing to say; nothing where it says no network. */
function idleBeside({ backend }: Entry): readonly string[] {
  if (backend === undefined) return [];
  if (backend === "tap") return IDLE.tap;
  return USER_NETWORKS.includes(backend as string) ? IDLE.user : IDLE.socket;
}

function backend(words: Words, cwd: string): Entry {
  const word = words.backend as string | undefined;
  const name = words.interface as string | undefined;
  if (word === undefined) return {};
  if (word.startsWith(SOCKET) && word.length > SOCKET.length) {
    refuseFor("a socket", words, IDLE.socket);
    return { backend: SOCKET + absolutePath(word.slice(SOCKET.length), cwd) };
  }
  if (USER_NETWORKS.includes(word)) {
    refuseFor("a user network", words, IDLE.user);
    return { backend: word };
  }
  if (word !== "tap") {
    throw new UsageError(`"${word}" is no network: user, passt, slirp, tap or unix:PATH`);
  }
  refuseFor("a tap", words, IDLE.tap);
  if (name === undefined) return { backend: word };
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > LONGEST_INTERFACE || /[\s/\0]/.test(name)) {
    throw new UsageError(`"${name}" is no interface's name: 1 to 15 bytes, no space, no slash`);
  }
  return { backend: word, interface: name };
}

function refuseFor(what: string, words: Words, names: readonly string[]): void {
  const idle = names.find((name) => words[name] !== undefined);
  if (idle === undefined) return;
  const flag = idle === "interface" ? `the interface "${words.interface}"` : `--${idle}`;
  throw new UsageError(`For ${what}, ${flag} does nothing`);
}

function forward(words: Words): Entry {
  const lines = words.forward as readonly string[] | undefined;
  if (lines === undefined) return {};
  for (const line of lines) {
    try {
      parseForward(line);
    } catch (error) {
      throw new UsageError(`--forward: ${(error as Error).message}`, {
        hint: "tcp:8080:80 leads from the host's loopback, port 8080, to the guest's port 80",
      });
    }
  }
  return { forward: lines };
}

/** A flag's value if it is good. */
function checked<T extends string | number>(
  words: Words,
  name: string,
  good: (value: T) => boolean,
  wants: string,
): Entry {
  const value = words[name] as T | undefined;
  if (value === undefined) return {};
  if (good(value)) return { [name]: value };
  throw new UsageError(`--${name} ${value}: it takes ${wants}`);
}

/** The row of the table. */
export const verb: Verb = {
  name: "net",
  summary: "Add a network card, or change one",
  description:
    "Adds a virtio network card. `user` needs no privilege: the guest gets 10.0.2.15 by DHCP, or takes " +
    "it itself with the router 10.0.2.2 and the name server 10.0.2.3; the host's loopback is 10.0.2.2 " +
    "to it, and --forward leads back. passt does it where it is installed, else libslirp; `passt` and " +
    "`slirp` ask for that one. `tap` makes a network interface of the host, or uses one that is there. " +
    "unix:PATH connects to a stream socket, as QEMU's `-netdev stream` does. With the name of a card " +
    "that is there it changes that one.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (net0, net1…)" },
    forward: {
      short: "f",
      value: "text",
      metavar: "PROTO:[ADDR:]PORT:PORT",
      repeat: true,
      help: "A port of the host that leads to one of the guest, tcp:8080:80",
    },
    netns: { value: "path", metavar: "FILE", help: "The network namespace that the tap is in" },
    address: { value: "text", metavar: "CIDR", help: "The host's address on the tap, 10.0.0.1/24" },
    mac: { value: "text", metavar: "MAC", help: "Its address (made from the names)" },
    mtu: { value: "number", metavar: "BYTES", help: "The longest packet" },
    queues: { value: "number", metavar: "N", help: "Pairs of queues of a tap (1)" },
    limit: { value: "size", metavar: "BYTES", help: "Bytes a second in each direction" },
    transport: { value: ["pci", "mmio"], metavar: "BUS", help: "How the guest reaches it (pci)" },
  },
  arguments: [
    {
      name: "BACKEND",
      value: "text",
      optional: true,
      help: "user, passt, slirp, tap or unix:PATH (user)",
    },
    { name: "INTERFACE", value: "text", optional: true, help: "The tap's name (hvsh0, hvsh1…)" },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh net user --forward tcp:8080:80 | jq -c .devices[1]",
      prints: '{"type":"net","name":"net0","backend":"user","forward":["tcp:8080:80"]}\n',
    },
    {
      line: "hvsh create | hvsh net tap vm0 --address 10.0.0.1/24 | jq -c .devices[1]",
      prints: '{"type":"net","name":"net0","backend":"tap","interface":"vm0",' +
        '"address":"10.0.0.1/24"}\n',
    },
  ],
  build: (document, words, cwd) => {
    const entry = {
      type: "net",
      name: words.name as string ?? freeName(document, "net"),
      ...backend(words, cwd),
      ...forward(words),
      ...(words.netns === undefined ? {} : { netns: absolutePath(words.netns as string, cwd) }),
      ...checked<string>(words, "address", (text) => parseCidr(text) !== undefined, "10.0.0.1/24"),
      ...checked<string>(words, "mac", (text) => parseMac(text) !== undefined, "52:54:00:12:34:56"),
      ...checked<number>(
        words,
        "mtu",
        (bytes) => bytes >= MTU.least && bytes <= MTU.most,
        `${MTU.least} to ${MTU.most} bytes`,
      ),
      ...checked<number>(
        words,
        "queues",
        (count) => count >= 1 && count <= MOST_QUEUES,
        `1 to ${MOST_QUEUES}`,
      ),
      ...(words.limit === undefined ? {} : { limit: { bytes: bytesPerSecond(words) } }),
      ...(words.transport === undefined ? {} : { transport: words.transport }),
    };
    return withDevice(document, entry, idleBeside(entry));
  },
};

function bytesPerSecond(words: Words): number {
  const bytes = words.limit as number;
  if (bytes >= 1) return bytes;
  throw new UsageError("--limit 0: a network card moves a byte a second at least");
}
