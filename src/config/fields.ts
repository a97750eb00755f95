import { z } from "zod";
import { runSchema } from "./schema.ts";

/** The part of JSON Schema that the run's schema uses. */
export interface FieldSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, FieldSchema>;
  required?: string[];
  items?: FieldSchema;
  anyOf?: FieldSchema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

/** A setting or section of the run's schema, with its dotted path; `[]` stands for list items. */
export interface Field {
  path: string;
  schema: FieldSchema;
}

let cached: FieldSchema | undefined;

/** The run's schema as JSON Schema, for editors and for walking. */
export function runJsonSchema(): FieldSchema {
  cached ??= z.toJSONSchema(runSchema, { io: "input" }) as FieldSchema;
  return cached;
}

/** The branch of a nullable field that is not null; the field itself when it is not nullable. */
export function withoutNull(schema: FieldSchema): FieldSchema {
  const branch = schema.anyOf?.find((option) => option.type !== "null");
  if (branch === undefined) return schema;
  const { anyOf: _dropped, ...outer } = schema;
  return { ...branch, ...outer };
}

/** The schema of the field at a path, or undefined when there is no such field. */
export function fieldAt(path: readonly PropertyKey[]): FieldSchema | undefined {
  let schema: FieldSchema | undefined = withoutNull(runJsonSchema());
  for (const segment of path) {
    const next: FieldSchema | undefined =
      typeof segment === "number"
        ? schema.items
        : Object.hasOwn(schema.properties ?? {}, segment)
          ? schema.properties![segment as string]
          : undefined;
    if (next === undefined) return undefined;
    schema = withoutNull(next);
  }
  return schema;
}

/** Every setting and section, depth first in the schema's order. */
export function allFields(): Field[] {
  const fields: Field[] = [];
  const visit = (prefix: string, schema: FieldSchema): void => {
    const inner = withoutNull(schema);
    for (const [name, child] of Object.entries(inner.properties ?? {})) {
      const path = prefix === "" ? name : `${prefix}.${name}`;
      fields.push({ path, schema: child });
      visit(path, child);
    }
    if (inner.items?.properties) visit(`${prefix}[]`, inner.items);
  };
  visit("", runJsonSchema());
  return fields;
}
