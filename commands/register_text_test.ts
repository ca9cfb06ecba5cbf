import { equal, match } from "node:assert/strict";
import { registerText } from "./register_text.ts";

Deno.test("a segment stands on one line, flags have their names, values the width of their kind", () => {
  equal(
    registerText("web", 1, {
      rax: "0x1",
      rflags: "0x246",
      cs: "0x10",
      "cs.base": "0x0",
      "cs.l": "0x1",
      "cs.db": "0x0",
      "gdt.base": "0x1000",
      cr0: "0x80000011",
      cr3: "0x1000",
      xmm0: "0x10000000000000000",
    }),
    `web vCPU 1
  rax    0000000000000001
  rflags 0000000000000246 [PF ZF IF]
  cs     0010  base 0  l
  gdt    base 1000
  cr0    0000000080000011 [PE ET PG]
  cr3    0000000000001000  xmm0   00000000000000010000000000000000
`,
  );
});

Deno.test("no line is wider than a terminal may be", () => {
  const names = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`msr${i}`, "0x7"]));
  for (const line of registerText("web", 0, names).split("\n")) match(line, /^.{0,100}$/);
});

Deno.test("lines fit a narrow terminal, too", () => {
  const registers = Object.fromEntries(
    Array.from({ length: 16 }, (_, i) => [`r${i}`, "0x123456789abcdef0"]),
  );
  const lines = registerText("web", 0, registers, 40).trimEnd().split("\n");
  equal(lines.length, 17);
  for (const line of lines) match(line, /^.{0,40}$/);
});
