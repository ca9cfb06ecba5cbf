import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { renderTable, type TableColumn } from "./text_table.ts";
import { textWidth } from "./text_width.ts";

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

const path: TableColumn = { title: "PATH", right: false };
const row = ["webserver", "812", "/srv/images/web.img"];

Deno.test("the widest text is cut first, numbers never", () => {
  const three = [...columns, path];
  const lines = (width: number) =>
    renderTable(three, [row], { columns: width }).split("\n").slice(0, 2);
  deepEqual(lines(40), ["NAME       PID  PATH", "webserver  812  /srv/images/web.img"]);
  deepEqual(lines(30), ["NAME       PID  PATH", "webserver  812  /srv/images/w…"]);
  deepEqual(lines(21), ["NAME     PID  PATH", "webser…  812  /srv/i…"]);
});

Deno.test("if cutting does not help the last columns go, the first never", () => {
  const three = [...columns, path];
  equal(renderTable(three, [row], { columns: 18 }), "NAME       PID\nwebserver  812\n");
  equal(renderTable(three, [row], { columns: 10 }), "NAME\nwebserver\n");
  equal(renderTable(three, [row], { columns: 7 }), "NAME\nwebser…\n");
  equal(renderTable([{ ...path, whole: true }], [[row[2]!]], { columns: 7 }), `PATH\n${row[2]}\n`);
});

Deno.test("colours are for terminals that want them, and take no room", () => {
  const colored = [{ ...columns[0]!, color: () => "green" as const }, columns[1]!];
  equal(renderTable(colored, [["web", "1"]]), "NAME  PID\nweb     1\n");
  equal(
    renderTable(colored, [["web", "1"]], { color: true }),
    "NAME  PID\n\x1b[32mweb\x1b[39m     1\n",
  );
});

const cell = fc.string({ unit: "binary" });
const anyRows = fc.array(fc.tuple(cell, cell));

Deno.test("a cell can neither break its line nor steer the terminal", () => {
  fc.assert(fc.property(anyRows, (rows) => {
    const text = renderTable(columns, rows);
    // deno-lint-ignore no-control-regex -- these are what must not be there
    return text.split("\n").length === rows.length + 2 && !/[\0-\x09\x0b-\x1f\x7f-\x9f]/.test(text);
  }));
});

Deno.test("a table of text is never wider than its terminal", () => {
  const texts = [path, path];
  fc.assert(fc.property(anyRows, fc.integer({ min: 6, max: 100 }), (rows, width) => {
    for (const line of renderTable(texts, rows, { columns: width }).split("\n")) {
      ok(textWidth(line) <= width);
    }
  }));
});
