/**
 * Call stacks as a flame graph (Brendan Gregg): a box a frame, as wide as its share of the samples, on
 * top of the box of its caller; an SVG of its own, whose boxes tell the whole name when pointed at.
 *
 * @module
 */
import type { CallStack, StackFrame } from "./call_stacks.ts";

const WIDTH = 1200;
const MARGIN = 10;
const ROW = 17;
const TITLE = 30;
/** Narrower boxes would not be seen. */
const NARROWEST = 0.1;
const FONT = 12;
/** Of a letter of the font, near enough. */
const LETTER = 7;

interface Box {
  readonly name: string;
  samples: number;
  readonly callees: Map<string, Box>;
}

/**
 * Draws stacks.
 *
 * @param stacks The stacks
 * @param title What stands on top
 * @returns The text of an SVG file
 */
export function flameGraph(stacks: readonly CallStack[], title: string): string {
  const root: Box = { name: "all", samples: 0, callees: new Map() };
  for (const { frames, samples } of stacks) add(root, frames, samples);
  const rows = depth(root);
  const height = TITLE + rows * ROW + MARGIN;
  const boxes: string[] = [];
  const scale = root.samples === 0 ? 0 : (WIDTH - 2 * MARGIN) / root.samples;
  const draw = (box: Box, level: number, x: number) => {
    const width = box.samples * scale;
    if (width < NARROWEST) return;
    boxes.push(rectangle(box, root.samples, {
      x,
      y: TITLE + (rows - 1 - level) * ROW,
      width,
    }));
    let from = x;
    for (const callee of [...box.callees.values()].sort((a, b) => a.name < b.name ? -1 : 1)) {
      draw(callee, level + 1, from);
      from += callee.samples * scale;
    }
  };
  if (root.samples > 0) draw(root, 0, MARGIN);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="${FONT}">`,
    `<style>g:hover rect{stroke:#000}</style>`,
    `<rect width="100%" height="100%" fill="#fffdf5"/>`,
    `<text x="${WIDTH / 2}" y="20" text-anchor="middle" font-size="16">${xml(title)}</text>`,
    ...boxes,
    "</svg>\n",
  ].join("\n");
}

function add(root: Box, frames: readonly StackFrame[], samples: number): void {
  let box = root;
  box.samples += samples;
  for (const { name } of frames) {
    let callee = box.callees.get(name);
    if (callee === undefined) {
      callee = { name, samples: 0, callees: new Map() };
      box.callees.set(name, callee);
    }
    callee.samples += samples;
    box = callee;
  }
}

function depth({ callees }: Box): number {
  return 1 + Math.max(0, ...callees.values().map(depth));
}

function rectangle(
  { name, samples }: Box,
  all: number,
  { x, y, width }: { x: number; y: number; width: number },
): string {
  const share = (samples / all * 100).toFixed(2);
  const letters = Math.floor((width - 6) / LETTER);
  const shown = letters < 3
    ? ""
    : name.length <= letters
    ? name
    : `${name.slice(0, letters - 2)}..`;
  const at = (value: number) => value.toFixed(1);
  return `<g><title>${xml(name)}: ${samples} samples, ${share} %</title>` +
    `<rect x="${at(x)}" y="${y}" width="${at(width)}" height="${ROW - 1}" fill="${
      color(name)
    }" rx="2"/>` +
    (shown === "" ? "" : `<text x="${at(x + 3)}" y="${y + FONT}">${xml(shown)}</text>`) +
    "</g>";
}

/** A warm colour that is the same wherever the name stands; blue for what is not code. */
function color(name: string): string {
  if (name.startsWith("[")) return "hsl(210 60% 78%)";
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) | 0;
  return `hsl(${10 + (hash >>> 0) % 45} 85% ${60 + (hash >>> 8) % 12}%)`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Text as XML 1.0 has it; names come out of the guest's memory. */
function xml(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "?").replace(/[&<>"']/g, (c) => ENTITIES[c]!);
}
