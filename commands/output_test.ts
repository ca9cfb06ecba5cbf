import { deepEqual, equal } from "node:assert/strict";
import { type RecordLayout, writeRecords } from "./output.ts";
import type { VerbContext } from "./verb.ts";

const layout: RecordLayout = {
  name: "name",
  columns: [{ key: "name" }, { key: "pid", right: true }, {
    key: "cpus",
    format: (value) => `${value} of 2`,
  }],
};
const records = [{ name: "web", pid: 12, cpus: 1, more: [1] }, { name: "db", cpus: 2 }];

async function written(output: string | undefined, forPerson: boolean): Promise<string> {
  let text = "";
  const context: VerbContext = {
    input: undefined,
    bytes: undefined,
    terminal: undefined,
    write: () => Promise.resolve(),
    emit: (value) => context.print(`${JSON.stringify(value)}\n`),
    print: (more) => Promise.resolve(void (text += more)),
    note: () => {},
    forPerson,
    cwd: "/",
    signal: new AbortController().signal,
  };
  await writeRecords(records, layout, output === undefined ? {} : { output }, context);
  return text;
}

const json = '{"name":"web","pid":12,"cpus":1,"more":[1]}\n{"name":"db","cpus":2}\n';
const table = "NAME  PID  CPUS\nweb    12  1 of 2\ndb      -  2 of 2\n";

Deno.test("objects in a pipe, a table for a person", async () => {
  equal(await written(undefined, false), json);
  equal(await written(undefined, true), table);
});

Deno.test("-o chooses, whoever reads", async () => {
  deepEqual([
    await written("json", true),
    await written("table", false),
    await written("name", true),
  ], [
    json,
    table,
    "web\ndb\n",
  ]);
});
