/**
 * A small client of GDB's Remote Serial Protocol, over a process that serves it on stdin and stdout.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HvshProcess } from "./run_hvsh.ts";

/** Makes a packet of ASCII text. */
export function packetOf(data: string): string {
  const sum = [...data].reduce((sum, c) => (sum + c.charCodeAt(0)) & 0xff, 0);
  return `$${data}#${sum.toString(16).padStart(2, "0")}`;
}

/** Talks to a server. */
export class RspClient {
  readonly #process: HvshProcess;
  #read = 0;

  /**
   * @param process `hvsh gdb NAME`, with its stdin open
   */
  constructor(process: HvshProcess) {
    this.#process = process;
  }

  /** Sends text as it is. */
  async send(text: string): Promise<void> {
    await this.#process.send(text);
  }

  /** The next so many characters of what the server says. */
  async next(count: number): Promise<string> {
    while (this.#process.output.length < this.#read + count) await this.#process.more();
    this.#read += count;
    return this.#process.output.slice(this.#read - count, this.#read);
  }

  /** The data of the next packet, which is acknowledged. */
  async packet(): Promise<string> {
    assert.equal(await this.next(1), "$");
    let data = "";
    for (let c = await this.next(1); c !== "#"; c = await this.next(1)) data += c;
    assert.equal(packetOf(data), `$${data}#${await this.next(2)}`);
    await this.send("+");
    return data;
  }

  /** Sends a packet, which the server acknowledges. */
  async ask(data: string): Promise<void> {
    await this.send(packetOf(data));
    assert.equal(await this.next(1), "+");
  }

  /** Sends a packet and gives the reply. */
  async reply(data: string): Promise<string> {
    await this.ask(data);
    return await this.packet();
  }
}
