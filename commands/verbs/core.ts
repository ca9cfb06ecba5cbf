/**
 * `hvsh core`: a VM as an ELF core.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { coreDump } from "../../vmm/debug/core_dump.ts";
import { NOTE_REGISTERS } from "../../vmm/debug/core_notes.ts";
import { registersFromJson } from "../../vmm/debug/register_files.ts";
import { namedVms } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { LiveInside } from "../live/live_inside.ts";
import { Meter } from "../progress/meter.ts";
import { metered } from "../progress/metered.ts";
import type { Verb } from "../verb.ts";

const SIGPIPE_STATUS = 141;

/** The row of `core`. */
export const verb: Verb = {
  name: "core",
  summary: "Dump a live VM as an ELF core for gdb or crash",
  description:
    "Writes registers and memory to stdout: each vCPU a thread, memory by the linear addresses of vCPU " +
    "0 where its paging is on, and by guest-physical ones. The guest goes on meanwhile; pause it first " +
    "for a core of one moment.",
  group: "live",
  flags: { physical: { help: "Leave linear addresses out" } },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VM" }],
  reads: "handles",
  writes: "text",
  examples: [
    { line: "hvsh pause web | hvsh core > web.core && gdb vmlinux web.core", needs: "kvm" },
  ],
  async run(words, context) {
    if (context.forPerson) {
      throw new UsageError("A core is no text for a terminal", { hint: "hvsh core NAME > FILE" });
    }
    for await (const vm of namedVms(words, context)) {
      using inside = await LiveInside.open(vm);
      const vcpus = await call(vm.control, "inspect.registers", { names: NOTE_REGISTERS }) as {
        cpu: number;
        registers: Record<string, unknown>;
      }[];
      const chunks = coreDump(
        inside.memory,
        vcpus.map(({ cpu, registers }) => ({ cpu, registers: registersFromJson(registers) })),
        { physical: words.physical === true },
      );
      const total = inside.memory.pieces.reduce((sum, { size }) => sum + size, 0);
      using meter = new Meter(context, { label: vm.name, unit: "bytes", total });
      try {
        for (const chunk of metered(chunks, meter)) await context.write(chunk);
        meter[Symbol.dispose]();
        meter.summarize();
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) return SIGPIPE_STATUS;
        throw error;
      }
    }
    return 0;
  },
};
