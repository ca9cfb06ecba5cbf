/**
 * Queries: packets q and Q (GDB manual, E.4 "General Query Packets").
 *
 * @module
 */
import { hexBytes, hexNumber, hexText, PacketError } from "./hex.ts";
import { monitor } from "./monitor.ts";
import { PACKET_SIZE } from "./packets.ts";
import type { GdbTarget } from "./target.ts";

/** What a session is asked to remember, and what it has. */
export interface QuerySession {
  readonly target: GdbTarget;
  /** The vCPU that is chosen. */
  readonly cpu: number;
  /** What GDB said that it knows. */
  readonly features: { swbreak: boolean; hwbreak: boolean };
  /** From the next packet on there are no acknowledgements. */
  leaveOutAcks(): void;
  /** Shows text to the person. */
  output(text: string): Promise<void>;
  /** The vCPU of a thread id. */
  threadOf(id: string): number | undefined;
}

/** Bytes of text that a packet has room for in hexadecimal. */
const MOST_OUTPUT = PACKET_SIZE / 2 - 1;

/**
 * Answers a query.
 *
 * @param packet The packet
 * @param session The connection's
 * @returns The reply; empty for what it does not know
 */
export async function answerQuery(packet: string, session: QuerySession): Promise<string> {
  const { target, cpu } = session;
  const [name = "", rest = ""] = cut(packet, /[:,]/);
  switch (name) {
    case "qSupported": {
      const offered = rest.split(";");
      session.features.swbreak = offered.includes("swbreak+");
      session.features.hwbreak = offered.includes("hwbreak+");
      return `PacketSize=${PACKET_SIZE.toString(16)};QStartNoAckMode+;vContSupported+;` +
        "swbreak+;hwbreak+;qXfer:features:read+;qXfer:memory-map:read+";
    }
    case "QStartNoAckMode":
      session.leaveOutAcks();
      return "OK";
    case "qC":
      return `QC${(cpu + 1).toString(16)}`;
    case "qAttached":
      return "1";
    case "qSymbol":
      return "OK";
    case "qfThreadInfo":
      return `m${Array.from({ length: target.cpus }, (_, i) => (i + 1).toString(16)).join(",")}`;
    case "qsThreadInfo":
      return "l";
    case "qThreadExtraInfo": {
      const thread = session.threadOf(rest);
      if (thread === undefined) throw new PacketError("No thread");
      return hexText(`vCPU ${thread}`);
    }
    case "qXfer":
      return transfer(rest, target);
    case "qRcmd": {
      const command = new TextDecoder().decode(hexBytes(rest));
      const text = await monitor(target, cpu, command);
      for (let at = 0; at < text.length; at += MOST_OUTPUT / 2) {
        await session.output(text.slice(at, at + MOST_OUTPUT / 2));
      }
      return "OK";
    }
  }
  return "";
}

/** `OBJECT:read:ANNEX:OFFSET,LENGTH`. */
function transfer(words: string, target: GdbTarget): string {
  const [object, operation, annex, range] = words.split(":");
  const known = operation === "read"
    ? object === "features" && annex === "target.xml"
      ? target.description
      : object === "memory-map" && annex === ""
      ? target.memoryMap
      : undefined
    : undefined;
  if (known === undefined) return object === "features" ? "E00" : "";
  const [offset, length] = (range ?? "").split(",").map(hexNumber);
  if (offset === undefined || length === undefined) throw new PacketError("No range");
  // Escapes may double it.
  const most = Math.min(Number(length), PACKET_SIZE / 2 - 1);
  const from = Number(offset);
  const part = known.slice(from, from + most);
  return `${from + part.length >= known.length ? "l" : "m"}${part}`;
}

function cut(text: string, separator: RegExp): [string, string] {
  const at = text.search(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
