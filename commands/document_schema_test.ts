import { deepEqual, equal } from "node:assert/strict";
import { documentSchema } from "./document_schema.ts";

Deno.test("the schema is draft 2020-12, and lets unknown keys be", () => {
  const schema = documentSchema();
  equal(schema.$schema, "https://json-schema.org/draft/2020-12/schema");
  deepEqual(schema.required, ["vm"]);
  equal(JSON.stringify(schema).includes('"additionalProperties":false'), false);
});

Deno.test("it has what documents are made of, with its limits", () => {
  const { properties } = documentSchema() as { properties: Record<string, unknown> };
  deepEqual(properties.vm, { const: 1 });
  deepEqual(properties.cpus, { type: "integer", minimum: 1, maximum: 255 });
  for (const key of ["name", "memory", "cpu", "boot", "devices"]) {
    equal(key in properties, true, key);
  }
});
