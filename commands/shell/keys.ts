// deno-lint-ignore-file no-control-regex -- control characters are what keys are made of
/**
 * What is typed at a terminal, from bytes to keys: text in UTF-8, control characters, xterm's sequences
 * for the other keys (ctlseqs, "PC-Style Function Keys"), and bracketed pastes.
 *
 * @module
 */

/** A key, or text that came at once. */
export type Key =
  /** Text, without control characters. */
  | { readonly kind: "text"; readonly text: string }
  /** Text that was pasted, with newlines and tabs; it was not typed, and does nothing by itself. */
  | { readonly kind: "paste"; readonly text: string }
  /** `C-a`, `M-b`, `Enter`, `Tab`, `Backspace`, `Up`, `C-Left`…; `unknown` for what has no name here. */
  | { readonly kind: "key"; readonly name: string };

/** Tells the terminal to mark what is pasted. */
export const BRACKETED_PASTE_ON = "\x1b[?2004h";
/** Tells it not to. */
export const BRACKETED_PASTE_OFF = "\x1b[?2004l";

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";
/** A longer sequence is no key. */
const MOST_SEQUENCE = 64;
/** A longer paste is cut: nobody edits it as a line. */
const MOST_PASTE = 1 << 20;

const NAMED: Readonly<Record<string, string>> = {
  "\r": "Enter",
  "\n": "Enter",
  "\t": "Tab",
  "\x7f": "Backspace",
  "\b": "Backspace",
  "\x00": "C-Space",
  "\x1f": "C-_",
  "\x1c": "C-\\",
  "\x1d": "C-]",
  "\x1e": "C-^",
};
/** Final letters of sequences, behind CSI or SS3. */
const LETTERS: Readonly<Record<string, string>> = {
  A: "Up",
  B: "Down",
  C: "Right",
  D: "Left",
  F: "End",
  H: "Home",
  M: "Enter", // of the keypad
  Z: "S-Tab",
};
/** Numbers before `~`. */
const NUMBERS: Readonly<Record<string, string>> = {
  "1": "Home",
  "3": "Delete",
  "4": "End",
  "5": "PageUp",
  "6": "PageDown",
  "7": "Home",
  "8": "End",
};

/** Takes bytes as they come and gives keys. What is not whole yet waits for the rest. */
export class KeyDecoder {
  /** Bytes that no key has been made of, a character each. */
  #pending = "";

  /**
   * Takes bytes.
   *
   * @param bytes As they were read
   */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 4096) {
      this.#pending += String.fromCharCode(...bytes.subarray(at, at + 4096));
    }
  }

  /** The bytes that no key has been made of; they are forgotten here. */
  rest(): Uint8Array<ArrayBuffer> {
    const bytes = bytesOf(this.#pending);
    this.#pending = "";
    return bytes;
  }

  /** The next key; undefined if there is no whole one. */
  next(): Key | undefined {
    const first = this.#pending[0];
    if (first === undefined) return undefined;
    if (first === "\x1b") return this.#escaped();
    const control = controlName(first);
    if (control === undefined) return this.#text();
    this.#pending = this.#pending.slice(1);
    return key(control);
  }

  /** A run of characters, without one at the end that is not whole. */
  #text(): Key | undefined {
    const [run] = /^[^\x00-\x1f\x7f]*/.exec(this.#pending)!;
    const whole = run.length === this.#pending.length ? wholeLength(run) : run.length;
    if (whole === 0) return undefined;
    this.#pending = this.#pending.slice(whole);
    return { kind: "text", text: utf8(run.slice(0, whole)) };
  }

  #escaped(): Key | undefined {
    if (this.#pending.startsWith(PASTE_START)) return this.#paste();
    const second = this.#pending[1];
    if (second === undefined) return undefined;
    if (second === "\x1b") return this.#take(1, "Escape");
    if (second === "[" || second === "O") return this.#sequence(second);
    const control = controlName(second);
    if (control !== undefined) return this.#take(2, `M-${control}`);
    const [, character] = /^.((?:[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]*))/s.exec(this.#pending) ?? [];
    if (character === undefined) return this.#take(2, "unknown");
    if (wholeLength(character) === 0) return undefined;
    return this.#take(1 + character.length, `M-${utf8(character)}`);
  }

  #sequence(start: "[" | "O"): Key | undefined {
    const pattern = start === "[" ? /^\x1b\[([0-?]*)[ -/]*([@-~])/ : /^\x1bO()([@-~])/;
    const match = pattern.exec(this.#pending);
    if (match === null) {
      const going = start === "[" ? /^\x1b\[[0-?]*[ -/]*$/ : /^\x1bO$/;
      if (going.test(this.#pending) && this.#pending.length < MOST_SEQUENCE) return undefined;
      return this.#take(2, "unknown");
    }
    const [all, parameters = "", final = ""] = match;
    const [number = "", modifier = "1"] = parameters.split(";");
    const name = final === "~" ? NUMBERS[number] : LETTERS[final];
    return this.#take(
      all.length,
      name === undefined ? "unknown" : modified(name, Number(modifier)),
    );
  }

  #paste(): Key | undefined {
    const end = this.#pending.indexOf(PASTE_END, PASTE_START.length);
    if (end < 0) return undefined;
    const text = utf8(this.#pending.slice(PASTE_START.length, Math.min(end, MOST_PASTE)));
    this.#pending = this.#pending.slice(end + PASTE_END.length);
    return { kind: "paste", text: text.replace(/\r\n?/g, "\n").replace(/[^\P{Cc}\n\t]/gu, "") };
  }

  #take(length: number, name: string): Key {
    this.#pending = this.#pending.slice(length);
    return key(name);
  }
}

function key(name: string): Key {
  return { kind: "key", name };
}

function controlName(character: string): string | undefined {
  const named = NAMED[character];
  if (named !== undefined) return named;
  if (character > "\x1a") return undefined;
  return `C-${String.fromCharCode(character.charCodeAt(0) + 0x60)}`;
}

/** Bits of the modifier less one: 1 is shift, 2 alt, 4 control. */
function modified(name: string, modifier: number): string {
  const bits = (modifier || 1) - 1;
  return `${bits & 4 ? "C-" : ""}${bits & 2 ? "M-" : ""}${name}`;
}

/** How much of some bytes is whole characters of UTF-8 (RFC 3629 §3). */
function wholeLength(bytes: string): number {
  const [tail] = /[\xc0-\xff][\x80-\xbf]*$/.exec(bytes) ?? [];
  if (tail === undefined) return bytes.length;
  const first = tail.charCodeAt(0);
  const needed = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  return tail.length < needed ? bytes.length - tail.length : bytes.length;
}

function utf8(bytes: string): string {
  return new TextDecoder().decode(bytesOf(bytes));
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
