import { deepEqual, equal } from "node:assert/strict";
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import * as calls from "./bios_calls.ts";
import { assemble } from "./listing.ts";

const MEMORY = { map: 0xf800, entries: 3, below16: 0x3c00, above16: 0x300, extended: 0xffff };

const LISTINGS: Record<string, string> = {
  powerOn: calls.powerOn(0x1020),
  answer: calls.answer(639),
  system: calls.system(MEMORY),
  IGNORE: calls.IGNORE,
  TICK: calls.TICK,
  IRQ: calls.IRQ,
  VIDEO: calls.VIDEO,
  DISK: calls.DISK,
  KEYBOARD: calls.KEYBOARD,
  HALT: calls.HALT,
  CLOCK: calls.CLOCK,
};

/** A listing's lines: offset, label, mnemonic, and for jumps the label that they go to. */
function linesOf(listing: string) {
  let offset = 0;
  return listing.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const [, label, bytes, text] = /^\s*(?:(\w+):)?\s*([0-9a-f ]+?)\s*\| (.*)$/.exec(line)!;
    const [mnemonic, target] = text!.replace("rep ", "").split(" ");
    const at = offset;
    offset += bytes!.split(" ").length;
    return { at, label, mnemonic: mnemonic!, target: /^j/.test(mnemonic!) ? target : undefined };
  });
}

for (const [name, listing] of Object.entries(LISTINGS)) {
  Deno.test(`${name}: every line's bytes are the instruction that it shows`, () => {
    const lines = linesOf(listing);
    const decoder = new Decoder(16, assemble(listing), DecoderOptions.None);
    const formatter = new Formatter(FormatterSyntax.Nasm);
    const instructions = decoder.decodeAll();
    try {
      equal(instructions.length, lines.length);
      instructions.forEach((instruction, i) => {
        const line = lines[i]!;
        equal(Number(instruction.ip), line.at);
        equal(formatter.formatMnemonic(instruction).replace("rep ", ""), line.mnemonic);
        if (line.target === undefined || line.target.includes(":")) return;
        const place = lines.find(({ label }) => label === line.target);
        equal(instruction.nearBranch16, place?.at, `jump at ${line.at} goes to ${line.target}`);
      });
    } finally {
      for (const instruction of instructions) instruction.free();
      formatter.free();
      decoder.free();
    }
  });
}

Deno.test("a call's answers stand in its code", () => {
  deepEqual([...assemble(calls.answer(0x1234))], [0xb8, 0x34, 0x12, 0xcf]);
});
