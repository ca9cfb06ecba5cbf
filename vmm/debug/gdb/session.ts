/**
 * One connection of GDB to a VM.
 *
 * The VM is paused when GDB comes, and goes on when it leaves. What comes is bounded and checked; a packet
 * that makes no sense gets an error, one of a kind that there is not an empty reply, as the protocol has it.
 *
 * @module
 */
import { HvshError } from "../../../ffi/errors.ts";
import type { Breakpoint } from "../breakpoint_table.ts";
import type { DebugStop } from "../debug_stop.ts";
import { hexBytes, hexNumber, hexRegister, hexText, PacketError, registerValue } from "./hex.ts";
import { encodePacket, type Incoming, PACKET_SIZE, PacketReader } from "./packets.ts";
import { GdbPoints } from "./points.ts";
import { answerQuery, type QuerySession } from "./queries.ts";
import { parseVcont, RunControl, type RunOrder, VCONT_ACTIONS } from "./run_control.ts";
import type { GdbTarget } from "./target.ts";

/** Where GDB is. */
export interface GdbConnection {
  /** What it sends. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Sends to it. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

const BAD_PACKET = "E01";
const NO_MEMORY = "E0e"; // EFAULT
const REFUSED = "E16"; // EINVAL in decimal, as GDB's own server has it

/** Serves one connection. */
export class GdbSession implements QuerySession {
  readonly target: GdbTarget;
  readonly features = { swbreak: false, hwbreak: false };
  readonly #connection: GdbConnection;
  readonly #points: GdbPoints;
  readonly #run: RunControl;
  #cpu = 0;
  #acks = true;
  #acksEnd = false;
  /** The last packet that GDB has not acknowledged. */
  #unacknowledged: Uint8Array<ArrayBuffer> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #over = false;

  /**
   * @param target The VM
   * @param connection GDB
   */
  constructor(target: GdbTarget, connection: GdbConnection) {
    this.target = target;
    this.#connection = connection;
    this.#points = new GdbPoints(target.debugger);
    this.#run = new RunControl(target);
  }

  /** The vCPU that is chosen. */
  get cpu(): number {
    return this.#cpu;
  }

  /** Serves GDB until it leaves; then the VM goes on without it. */
  async serve(): Promise<void> {
    const reader = new PacketReader();
    try {
      await this.#run.stop();
      for await (const bytes of this.#connection.input) {
        for (const item of reader.push(bytes)) await this.#take(item);
        if (this.#over) return;
      }
    } finally {
      this.#over = true;
      await this.#leave();
    }
  }

  async #leave(): Promise<void> {
    const { machine } = this.target;
    try {
      await this.#run.end();
      if (machine.stopping || machine.state === "ended") return;
      await this.#points.clear();
      if (machine.state === "paused") machine.resume();
    } catch (error) {
      if (!(error instanceof HvshError)) throw error; // it has just ended
    }
  }

  async #take(item: Incoming): Promise<void> {
    switch (item.kind) {
      case "ack":
        this.#unacknowledged = undefined;
        return;
      case "nak": {
        const again = this.#unacknowledged;
        if (again !== undefined) await this.#write(again);
        return;
      }
      case "interrupt":
        return await this.#run.interrupt().catch(ignoreEnd);
      case "damaged":
        if (this.#acks) await this.#write(new TextEncoder().encode("-"));
        return;
      case "packet": {
        if (this.#acks) await this.#write(new TextEncoder().encode("+"));
        const reply = await this.#answer(item.data);
        if (reply !== undefined) await this.#send(reply);
        if (this.#acksEnd) this.#acks = false;
      }
    }
  }

  /** The reply; undefined if there is none, or it comes when the VM stands. */
  async #answer(data: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
    try {
      return data[0] === 0x58 ? await this.#writeBinary(data) : await this.#command(ascii(data));
    } catch (error) {
      if (error instanceof PacketError) return BAD_PACKET;
      if (error instanceof HvshError) return REFUSED;
      throw error;
    }
  }

  async #command(packet: string): Promise<string | undefined> {
    const rest = packet.slice(1);
    switch (packet[0]) {
      case "?":
        return await this.#stopReply();
      case "g":
        return await this.#readAll();
      case "G":
        return await this.#writeAll(rest);
      case "p":
        return await this.#readOne(rest);
      case "P":
        return await this.#writeOne(rest);
      case "m":
        return await this.#readMemory(rest);
      case "M":
        return await this.#writeMemory(rest);
      case "c":
      case "C":
        return this.#start({ kind: "continue" });
      case "s":
      case "S":
        return this.#start({ kind: "step", cpu: this.#cpu, from: 0n, to: 0n });
      case "v":
        return await this.#verbose(packet);
      case "H":
        this.#cpu = this.threadOf(packet.slice(2)) ?? this.#cpu;
        return "OK";
      case "T":
        this.threadOf(rest);
        return "OK";
      case "Z":
        return await this.#points.insert(rest, this.#cpu) ? "OK" : "";
      case "z":
        return await this.#points.remove(rest) ? "OK" : "";
      case "q":
      case "Q":
        return await answerQuery(packet, this);
      case "D":
        this.#over = true;
        return "OK";
      case "k":
        this.#over = true;
        await this.target.machine.stop().catch(ignoreEnd);
        return undefined;
    }
    return "";
  }

  async #verbose(packet: string): Promise<string | undefined> {
    if (packet === "vCont?") return VCONT_ACTIONS;
    if (packet.startsWith("vCont;")) {
      return this.#start(parseVcont(packet.slice(6), (id) => this.threadOf(id), this.#cpu));
    }
    if (packet.startsWith("vKill")) {
      await this.target.machine.stop().catch(ignoreEnd);
      return "OK";
    }
    return "";
  }

  #start(order: RunOrder): undefined {
    this.#run.start(order, async () => {
      if (!this.#over) await this.#send(await this.#stopReply());
    });
    return undefined;
  }

  async #stopReply(): Promise<string> {
    const stopped = this.target.machine.pausedBy?.cpu;
    if (stopped !== undefined) this.#cpu = stopped;
    const typeOf = (stop: DebugStop | undefined) =>
      this.#points.typeOf(stop?.breakpoint as Breakpoint | undefined);
    return await this.#run.reply(this.#cpu, this.features, typeOf);
  }

  threadOf(id: string): number | undefined {
    if (id === "0" || id === "-1") return undefined;
    const cpu = Number(hexNumber(id)) - 1;
    if (cpu < 0 || cpu >= this.target.cpus) throw new PacketError("No thread");
    return cpu;
  }

  leaveOutAcks(): void {
    this.#acksEnd = true; // the reply to this is still acknowledged, or not: GDB does not wait
  }

  async output(text: string): Promise<void> {
    await this.#send(`O${hexText(text)}`);
  }

  async #readAll(): Promise<string> {
    const { registers } = this.target;
    const values = await this.target.read(this.#cpu, registers);
    return registers.map(({ bits }, i) => hexRegister(values[i]!, bits)).join("");
  }

  async #writeAll(text: string): Promise<string> {
    let at = 0;
    const changes = this.target.registers.map((register) => {
      const part = text.slice(at, at += register.bits / 4);
      return [register, registerValue(part, register.bits)] as const;
    });
    await this.target.write(this.#cpu, changes);
    return "OK";
  }

  async #readOne(text: string): Promise<string> {
    const register = this.#register(text);
    const [value] = await this.target.read(this.#cpu, [register]);
    return hexRegister(value!, register.bits);
  }

  async #writeOne(text: string): Promise<string> {
    const [number, value = ""] = text.split("=", 2);
    const register = this.#register(number);
    await this.target.write(this.#cpu, [[register, registerValue(value, register.bits)]]);
    return "OK";
  }

  #register(text: string | undefined) {
    const register = this.target.registers[Number(hexNumber(text))];
    if (register === undefined) throw new PacketError("No register");
    return register;
  }

  async #readMemory(text: string): Promise<string> {
    const [address, length] = text.split(",").map(hexNumber);
    if (address === undefined || length === undefined) throw new PacketError("No range");
    const most = Number(length < PACKET_SIZE / 2 ? length : PACKET_SIZE / 2 - 1);
    const bytes = await this.target.readMemory(this.#cpu, address, most);
    return bytes.length === 0 && most > 0 ? NO_MEMORY : bytes.toHex();
  }

  async #writeMemory(text: string): Promise<string> {
    const [range = "", data] = text.split(":", 2);
    return await this.#store(range, hexBytes(data));
  }

  /** `X ADDR,LENGTH:BYTES`. */
  async #writeBinary(data: Uint8Array<ArrayBuffer>): Promise<string> {
    const colon = data.indexOf(0x3a);
    if (colon < 0) throw new PacketError("No data");
    return await this.#store(ascii(data.subarray(1, colon)), data.slice(colon + 1));
  }

  async #store(range: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    const [address, length] = range.split(",").map(hexNumber);
    if (address === undefined || length !== BigInt(bytes.length)) throw new PacketError("No range");
    try {
      if (bytes.length > 0) await this.target.writeMemory(this.#cpu, address, bytes);
      return "OK";
    } catch (error) {
      if (!(error instanceof HvshError)) throw error;
      return NO_MEMORY;
    }
  }

  async #send(reply: string): Promise<void> {
    const packet = encodePacket(reply);
    this.#unacknowledged = this.#acks ? packet : undefined;
    await this.#write(packet);
  }

  /** One after the other: a stop may be told while a reply is on its way. */
  #write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#sending = this.#sending.then(() => this.#connection.write(bytes)).catch(() => {
      this.#over = true; // GDB is gone
    });
  }
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function ignoreEnd(error: unknown): void {
  if (!(error instanceof HvshError)) throw error;
}
