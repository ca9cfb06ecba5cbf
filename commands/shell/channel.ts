/**
 * What flows between two stages of a pipeline. Built-ins put objects in and take objects out, with
 * nothing in between; only where a host program stands on one side do objects become NDJSON, or
 * bytes become objects.
 *
 * @module
 */
import { readObjects } from "../document_input.ts";

/** How many items may wait before a writer has to. */
const CAPACITY = 16;

/** Told to a stage that writes when nobody reads any more; the in-process SIGPIPE. */
export class ReaderGone extends Error {
  override name = "ReaderGone";
}

/** Where a stage's output goes. */
export interface Output {
  /** Takes an object. */
  emit(value: unknown): Promise<void>;
  /** Takes text. */
  print(text: string): Promise<void>;
  /** Takes bytes. */
  write(bytes: Uint8Array): Promise<void>;
  /** There is nothing more to come. */
  close(): Promise<void>;
  /** Aborts when nobody reads any more. */
  readonly gone: AbortSignal;
}

type Item =
  | { readonly kind: "object"; readonly value: unknown }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

/** A bounded queue between a stage that writes and one that reads. */
export class Channel implements Output {
  readonly #items: Item[] = [];
  readonly #gone = new AbortController();
  #closed = false;
  /** Wakes the side that waits; a queue is never full and empty at once, so one is enough. */
  #wake: () => void = () => {};

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  emit(value: unknown): Promise<void> {
    return this.#put({ kind: "object", value });
  }

  print(text: string): Promise<void> {
    return this.write(new TextEncoder().encode(text));
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#put({ kind: "bytes", bytes });
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    return Promise.resolve();
  }

  /** The reader goes: what waits is dropped, and the writer is told at its next word. */
  cancel(): void {
    this.#items.length = 0;
    this.#gone.abort(new ReaderGone("Nobody reads any more"));
    this.#wake();
  }

  /**
   * Reads objects; bytes are parsed as the JSON objects that they have to be.
   *
   * @returns Each object; leaving the loop early tells the writer
   * @throws {DocumentError} If bytes are there that are no JSON objects
   */
  async *objects(): AsyncGenerator<unknown> {
    try {
      for (let item = await this.#take(); item !== undefined; item = await this.#take()) {
        if (item.kind === "object") yield item.value;
        else {
          this.#items.unshift(item);
          yield* readObjects(this.#bytesUpToAnObject(), "stdin");
        }
      }
    } finally {
      this.cancel();
    }
  }

  /**
   * Reads bytes; an object is a line of JSON.
   *
   * @returns Chunks; leaving the loop early tells the writer
   */
  async *bytes(): AsyncGenerator<Uint8Array> {
    try {
      for (let item = await this.#take(); item !== undefined; item = await this.#take()) {
        yield item.kind === "bytes" ? item.bytes : jsonLine(item.value);
      }
    } finally {
      this.cancel();
    }
  }

  async *#bytesUpToAnObject(): AsyncGenerator<Uint8Array> {
    for (let item = await this.#take(); item !== undefined; item = await this.#take()) {
      if (item.kind === "object") {
        this.#items.unshift(item);
        return;
      }
      yield item.bytes;
    }
  }

  async #put(item: Item): Promise<void> {
    this.gone.throwIfAborted();
    this.#items.push(item);
    this.#wake();
    while (this.#items.length >= CAPACITY) {
      await this.#woken();
      this.gone.throwIfAborted();
    }
  }

  async #take(): Promise<Item | undefined> {
    while (this.#items.length === 0) {
      if (this.#closed || this.gone.aborted) return undefined;
      await this.#woken();
    }
    const item = this.#items.shift();
    if (this.#items.length < CAPACITY) this.#wake();
    return item;
  }

  #woken(): Promise<void> {
    const before = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => {};
        before();
        resolve();
      };
    });
  }
}

/** An object as a line of NDJSON. */
function jsonLine(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
