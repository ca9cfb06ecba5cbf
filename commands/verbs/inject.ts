/**
 * `hvsh inject`: interrupts, NMIs, machine checks and SysRq keys for live VMs.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { eachVm } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import type { Verb, Words } from "../verb.ts";

const KINDS = ["nmi", "mce", "vector", "sysrq"];
/** Which flags each takes. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  nmi: ["cpu"],
  mce: ["cpu", "bank", "status", "mcg-status", "address", "misc"],
  vector: ["cpu", "error-code"],
  sysrq: [],
};
const PRINTABLE = /^[!-~]$/;

/** The row of `inject`. */
export const verb: Verb = {
  name: "inject",
  summary: "Interrupt live VMs: NMI, machine check, any vector, SysRq",
  description:
    "`nmi` is a non-maskable interrupt. `mce` puts an error into a bank of the machine check " +
    "architecture; the default is a fatal one. `vector N` is an interrupt, or below 32 an exception. " +
    "`sysrq KEY` is a serial break and a key, which Linux takes for SysRq on a serial console. Without " +
    "names the handles on stdin are meant, and they are passed on.",
  group: "live",
  flags: {
    cpu: { value: "number", metavar: "N", help: "Which CPU (0)" },
    bank: { value: "number", metavar: "N", help: "mce: the bank (4)" },
    status: {
      value: "text",
      metavar: "BITS",
      help: "mce: MCi_STATUS (0xbe00000000000000: uncorrected, context corrupt)",
    },
    "mcg-status": { value: "text", metavar: "BITS", help: "mce: MCG_STATUS (5: RIPV, MCIP)" },
    address: { value: "text", metavar: "BITS", help: "mce: MCi_ADDR (0)" },
    misc: { value: "text", metavar: "BITS", help: "mce: MCi_MISC (0)" },
    "error-code": { value: "number", metavar: "N", help: "vector: what an exception pushes (0)" },
  },
  arguments: [{
    name: "NAME",
    value: "vm",
    behind: KINDS,
    repeat: true,
    help: "the VMs, then `nmi`, `mce`, `vector N` or `sysrq KEY`",
  }],
  reads: "handles",
  writes: "handles",
  examples: [
    {
      line: "hvsh inject web mce --bank 4 && hvsh console web --expect 'Machine check' --timeout 5",
      needs: "kvm",
    },
    { line: "hvsh list | hvsh inject sysrq s", needs: "kvm" },
  ],
  async run(words, context) {
    const all = words.name as readonly string[];
    // A VM may have such a name: then something has to stand behind it.
    const at = all.findIndex((word, i) =>
      KINDS.includes(word) && !KINDS.includes(all[i + 1] ?? "")
    );
    const kind = all[at];
    if (kind === undefined) {
      throw new UsageError("What to inject is missing", { hint: `one of ${KINDS.join(", ")}` });
    }
    const params = { ...flagsOf(kind, words), ...valueOf(kind, all.slice(at + 1)) };
    const named = at === 0 ? {} : { name: all.slice(0, at) };
    return await eachVm(named, context, (vm) => call(vm.control, `inject.${kind}`, params));
  },
};

function flagsOf(kind: string, { name: _, ...flags }: Words): Record<string, unknown> {
  const other = Object.keys(flags).find((flag) => !FLAGS[kind]!.includes(flag));
  if (other !== undefined) throw new UsageError(`--${other} does nothing with ${kind}`);
  return Object.fromEntries(
    Object.entries(flags).map(([flag, value]) => [
      flag.replace(/-(.)/, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

function valueOf(kind: string, [value, more]: readonly string[]): Record<string, unknown> {
  if (more !== undefined) throw new UsageError(`"${more}" is one word too many`);
  switch (kind) {
    case "vector": {
      const vector = /^(0x[0-9a-f]+|\d+)$/i.test(value ?? "") ? Number(value) : NaN;
      if (vector <= 0xff) return { vector };
      throw new UsageError(`vector: ${value ?? "nothing"} is no number from 0 to 255`);
    }
    case "sysrq":
      if (PRINTABLE.test(value ?? "")) return { key: value };
      throw new UsageError(`sysrq: ${value ?? "nothing"} is no key`, {
        hint: "hvsh inject web sysrq h",
      });
    default:
      if (value === undefined) return {};
      throw new UsageError(`"${value}" is one word too many`);
  }
}
