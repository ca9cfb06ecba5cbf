/**
 * The MF-II keyboard behind an i8042 (IBM PS/2 Hardware Interface Technical Reference, October
 * 1990, "Keyboards"): it answers its commands, and nobody types on it.
 *
 * @module
 */
import { type Struct, struct, u8 } from "../../ffi/struct.ts";

/** Commands to the keyboard. */
const Command = {
  SET_LEDS: 0xed,
  ECHO: 0xee,
  SCANCODE_SET: 0xf0,
  IDENTIFY: 0xf2,
  SET_RATE: 0xf3,
  ENABLE: 0xf4,
  DISABLE: 0xf5,
  DEFAULTS: 0xf6,
  /** 0xf7 to 0xfa make all keys of one kind. */
  ALL_KEYS_FIRST: 0xf7,
  ALL_KEYS_LAST: 0xfa,
  /** 0xfb to 0xfd make one key of a kind; the key's code follows. */
  ONE_KEY_FIRST: 0xfb,
  ONE_KEY_LAST: 0xfd,
  RESEND: 0xfe,
  RESET: 0xff,
} as const;

const ACK = 0xfa;
const BAT_PASSED = 0xaa;
const ID = 0xab;
const ID_MF2 = 0x83;
/** What the controller's translation makes of {@linkcode ID_MF2}. */
const ID_MF2_TRANSLATED = 0x41;

/** 10.9 characters a second after 500 ms. */
const DEFAULT_RATE = 0x2b;

/** The keyboard's own state. */
export const KeyboardState = struct("keyboard", {
  /** The command that waits for its second byte; 0 for none. */
  command: u8,
  leds: u8,
  rate: u8,
  scancode_set: u8,
  scanning: u8,
  /** The last byte it sent, for RESEND. */
  last_sent: u8,
});

/** A keyboard over its state. */
export class Ps2Keyboard {
  readonly #s: Struct<typeof KeyboardState>;
  readonly #put: (byte: number) => void;

  /**
   * @param state Its state
   * @param put Where its bytes go
   */
  constructor(state: Struct<typeof KeyboardState>, put: (byte: number) => void) {
    this.#s = state;
    this.#put = put;
  }

  /** Power-on. */
  reset(): void {
    this.#s.last_sent = 0;
    this.#defaults();
  }

  /**
   * A byte from the controller.
   *
   * @param value The byte
   * @param translated Whether the controller translates what the keyboard sends to set 1
   */
  write(value: number, translated: boolean): void {
    const s = this.#s;
    const command = s.command;
    s.command = 0;
    if (command !== 0 && value < Command.SET_LEDS) return this.#option(command, value);
    switch (value) {
      case Command.ECHO:
        return this.#send(Command.ECHO);
      case Command.RESEND:
        return this.#send(s.last_sent);
      case Command.IDENTIFY:
        return this.#send(ACK, ID, translated ? ID_MF2_TRANSLATED : ID_MF2);
      case Command.RESET:
        this.#defaults();
        return this.#send(ACK, BAT_PASSED);
      case Command.ENABLE:
        s.scanning = 1;
        return this.#send(ACK);
      case Command.DISABLE:
      case Command.DEFAULTS:
        this.#defaults();
        s.scanning = value === Command.DISABLE ? 0 : 1;
        return this.#send(ACK);
    }
    const takesOption = value === Command.SET_LEDS || value === Command.SCANCODE_SET ||
      value === Command.SET_RATE ||
      (value >= Command.ONE_KEY_FIRST && value <= Command.ONE_KEY_LAST);
    const allKeys = value >= Command.ALL_KEYS_FIRST && value <= Command.ALL_KEYS_LAST;
    if (takesOption) s.command = value;
    this.#send(takesOption || allKeys ? ACK : Command.RESEND);
  }

  #option(command: number, value: number): void {
    const s = this.#s;
    this.#send(ACK);
    if (command === Command.SET_LEDS) s.leds = value & 7;
    if (command === Command.SET_RATE) s.rate = value & 0x7f;
    if (command === Command.SCANCODE_SET) {
      if (value === 0) this.#send(s.scancode_set);
      else if (value <= 3) s.scancode_set = value;
    }
  }

  #defaults(): void {
    const s = this.#s;
    s.command = 0;
    s.leds = 0;
    s.rate = DEFAULT_RATE;
    s.scancode_set = 2;
    s.scanning = 1;
  }

  #send(...answer: number[]): void {
    this.#s.last_sent = answer.at(-1)!;
    for (const byte of answer) this.#put(byte);
  }
}
