/**
 * `cpu`: how many CPUs and what they can do.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { featureBit, featureNames } from "../../vmm/cpu/features.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { cpuCount } from "../amounts.ts";
import type { Verb } from "../verb.ts";

const TEMPLATES = ["host", "minimal"] as const;

function maskedFeatures(values: readonly string[]): string[] {
  const features = values.flatMap((value) => value.split(",")).filter((name) => name !== "");
  const unknown = features.find((name) => featureBit(name) === undefined);
  if (unknown === undefined) return features;
  const near = nearestWord(unknown, featureNames);
  throw new UsageError(`There is no CPU feature "${unknown}"`, {
    hint: near === undefined ? "the flags in /proc/cpuinfo are the names" : `did you mean ${near}?`,
  });
}

/** The row of the table. */
export const verb: Verb = {
  name: "cpu",
  summary: "Set the number of CPUs and the features they offer",
  description:
    "Sets how many CPUs the VM has, and which of the host's features they show: all of them, or a " +
    "minimal set that every x86-64 host has, less the masked ones.",
  group: "build",
  flags: {
    template: {
      value: TEMPLATES,
      metavar: "NAME",
      help: "host (all that KVM can give) or minimal",
    },
    mask: {
      value: "text",
      metavar: "A,B…",
      repeat: true,
      help: "Features to take away, named as in /proc/cpuinfo",
    },
    irqchip: {
      value: ["yes", "no"],
      metavar: "yes|no",
      help: "Interrupt controllers and timer (yes, but for flat images on one CPU)",
    },
    "no-acpi": { help: "Write no ACPI tables" },
    mptable: { help: "Describe the CPUs by an Intel MP table too" },
  },
  arguments: [{ name: "COUNT", value: "number", optional: true, help: "How many CPUs" }],
  inline: { flags: ["template", "mask", "irqchip", "no-acpi", "mptable"] },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh cpu 2 --mask cx16,avx512f | jq -c '[.cpus, .cpu]'",
      prints: '[2,{"mask":["cx16","avx512f"]}]\n',
    },
  ],
  build: (document, words) => {
    const mask = maskedFeatures(words.mask as readonly string[] ?? []);
    const options = {
      ...document.cpu,
      ...(words.template === undefined
        ? {}
        : { template: words.template as typeof TEMPLATES[number] }),
      ...(mask.length === 0 ? {} : { mask: [...new Set([...document.cpu?.mask ?? [], ...mask])] }),
    };
    return {
      ...document,
      ...(words.count === undefined ? {} : { cpus: cpuCount(words.count as number) }),
      ...(Object.keys(options).length === 0 ? {} : { cpu: options }),
      ...(words.irqchip === undefined ? {} : { irqchip: words.irqchip === "yes" }),
      ...(words["no-acpi"] === true ? { acpi: false } : {}),
      ...(words.mptable === true ? { mptable: true } : {}),
    };
  },
};
