/**
 * The schema of a VM document as JSON Schema.
 *
 * @module
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import { VmDocumentSchema } from "../vmm/document.ts";

/**
 * Converts the schema that documents are checked with.
 *
 * @returns A JSON Schema, draft 2020-12, of a document as people write it
 */
export function documentSchema(): Record<string, unknown> {
  return {
    title: "hvsh VM document",
    ...toJsonSchema(VmDocumentSchema, {
      target: "draft-2020-12",
      typeMode: "input",
      // What JSON Schema cannot say: text that is a size, a path without NUL bytes.
      ignoreActions: ["check", "raw_transform"],
      overrideAction: ({ valibotAction, jsonSchema }) =>
        valibotAction.type === "safe_integer" ? { ...jsonSchema, type: "integer" } : undefined,
    }),
  };
}
