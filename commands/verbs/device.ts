/**
 * `device`: any kind of device, ours or one that the user wrote.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { deviceTypes } from "../../vmm/devices/registry.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { imagePath } from "../image_path.ts";
import { withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

const MODULE = /\/|\.m?[jt]s$/;

/** `KEY=VALUE`: a JSON value, a number as 0x1000, or else the text itself. */
function parseSetting(word: string): [string, unknown] {
  const equals = word.indexOf("=");
  const key = word.slice(0, Math.max(equals, 0));
  if (["", "type", "module", "name"].includes(key)) {
    throw new UsageError(`Cannot set "${word}": write KEY=VALUE`, {
      hint: "hvsh device ./clock.ts port=0x510",
    });
  }
  return [key, settingValue(word.slice(equals + 1))];
}

function settingValue(text: string): unknown {
  if (/^0x[0-9a-f]{1,13}$/i.test(text)) return Number(text);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function typeOf(word: string, cwd: string): { type: string; module?: string } {
  if (MODULE.test(word)) {
    const path = imagePath(word, cwd);
    return {
      type: "module",
      module: `file://${path.split("/").map(encodeURIComponent).join("/")}`,
    };
  }
  if (deviceTypes.includes(word)) return { type: word };
  const near = nearestWord(word, deviceTypes);
  throw new UsageError(`There is no kind of device "${word}"`, {
    hint: near === undefined ? deviceTypes.join(", ") : `did you mean ${near}?`,
  });
}

/** The row of the table. */
export const verb: Verb = {
  name: "device",
  summary: "Attach a device, also one that you wrote: FILE.ts",
  description:
    "Attaches a device of a kind that hvsh has, or one whose TypeScript you give: a file whose default " +
    "export says its type, its registers (state) and how to open it. Values are JSON, or text.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (type and number)" },
  },
  arguments: [
    { name: "TYPE|FILE", value: "path", help: `A file, or ${deviceTypes.join(", ")}` },
    { name: "KEY=VALUE", value: "text", optional: true, repeat: true, help: "Its settings" },
  ],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh device pvpanic --name crash | jq -c .devices[1]",
      prints: '{"type":"pvpanic","name":"crash"}\n',
    },
    {
      line: "touch clock.ts; hvsh create | hvsh device ./clock.ts port=0x510 speed=1.5 | " +
        "jq -c '.devices[1]|[.type,.port,.speed]'",
      prints: '["module",1296,1.5]\n',
    },
  ],
  build: (document, words, cwd) =>
    withDevice(document, {
      ...typeOf(words.type as string, cwd),
      ...(words.name === undefined ? {} : { name: words.name as string }),
      ...Object.fromEntries((words.key as readonly string[] ?? []).map(parseSetting)),
    }),
};
