import { equal } from "node:assert/strict";
import fc from "fast-check";
import { renderTable } from "./text_table.ts";

const columns = [{ title: "NAME", right: false }, { title: "PID", right: true }];

Deno.test("columns are as wide as their widest cell", () => {
  equal(
    renderTable(columns, [["web", "81234"], ["longer", "2"]]),
    "NAME      PID\nweb     81234\nlonger      2\n",
  );
  equal(renderTable(columns, []), "NAME  PID\n");
});

Deno.test("wide and combining characters are counted as they show", () => {
  equal(
    renderTable(columns, [["日本", "1"], ["e\u0301", "2"]]),
    "NAME  PID\n日本    1\ne\u0301       2\n",
  );
});

Deno.test("a cell can neither break its line nor steer the terminal", () => {
  const cell = fc.string({ unit: "binary" });
  fc.assert(fc.property(fc.array(fc.tuple(cell, cell)), (rows) => {
    const text = renderTable(columns, rows);
    // deno-lint-ignore no-control-regex -- these are what must not be there
    return text.split("\n").length === rows.length + 2 && !/[\0-\x09\x0b-\x1f\x7f-\x9f]/.test(text);
  }));
});
