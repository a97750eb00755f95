import { z } from "zod";
import { runSchema } from "./schema.ts";

/** The part of JSON Schema that the run's schema uses. */
export interface FieldSchema {
  type?: string;
  /** `path`, or `model` for a folder or a name on the Hub. */
  format?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, FieldSchema>;
  required?: string[];
  items?: FieldSchema;
  anyOf?: FieldSchema[];
  oneOf?: FieldSchema[];
  const?: unknown;
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

/** Returns the run's schema as JSON Schema, for editors and for walking. */
export function runJsonSchema(): FieldSchema {
  cached ??= z.toJSONSchema(runSchema, { io: "input" }) as FieldSchema;
  return cached;
}

/**
 * Returns the branch of a nullable field that is not null; the field itself when it is not
 * nullable.
 */
export function withoutNull(schema: FieldSchema): FieldSchema {
  const branch = schema.anyOf?.find((option) => option.type !== "null");
  if (branch === undefined) return schema;
  const { anyOf: _dropped, ...outer } = schema;
  return { ...branch, ...outer };
}

/** Returns the schemas of a field's alternatives, without null and with lists taken apart. */
function branches(schema: FieldSchema): FieldSchema[] {
  const { anyOf, oneOf, ...outer } = schema;
  const options = anyOf ?? oneOf;
  if (options === undefined) return schema.type === "null" ? [] : [schema];
  return options.flatMap(branches).map((branch) => ({ ...outer, ...branch }));
}

/**
 * Returns the variants of a section that names what it holds, by that name; undefined for other
 * fields.
 */
export function variantsOf(schema: FieldSchema): Map<string, FieldSchema> | undefined {
  const named = branches(schema).flatMap((branch) => {
    const name = branch.properties?.["name"]?.const;
    return typeof name === "string" ? [[name, branch] as const] : [];
  });
  return named.length === 0 ? undefined : new Map(named);
}

function hasOwn<Key extends PropertyKey>(value: unknown, key: Key): value is Record<Key, unknown> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}

/** Returns the section that a value means: of variants the one that it names, or else the first. */
function chosen(schema: FieldSchema, value: unknown): FieldSchema {
  const variants = variantsOf(schema);
  if (variants === undefined) {
    const all = branches(schema);
    return all.find(({ properties }) => properties !== undefined) ?? all[0] ?? schema;
  }
  const name = hasOwn(value, "name") ? String(value.name) : "";
  return variants.get(name) ?? [...variants.values()][0]!;
}

/**
 * Returns the schema of the field at a path, or undefined when there is no such field.
 *
 * @param root the settings, by which sections that come in variants are told apart.
 */
export function fieldAt(path: readonly PropertyKey[], root?: unknown): FieldSchema | undefined {
  let schema: FieldSchema = runJsonSchema();
  let value = root;
  for (const [depth, segment] of path.entries()) {
    let next: FieldSchema | undefined;
    if (typeof segment === "number" || (Array.isArray(value) && /^\d+$/.test(String(segment)))) {
      next = branches(schema).find(({ items }) => items !== undefined)?.items;
    } else {
      const { properties = {} } = chosen(schema, value);
      next = Object.hasOwn(properties, segment) ? properties[segment as string] : undefined;
    }
    if (next === undefined) return undefined;
    value = hasOwn(value, segment) ? value[segment] : undefined;
    schema = next;
    if (depth === path.length - 1) break;
  }
  const variants = variantsOf(schema);
  return variants === undefined ? withoutNull(schema) : { ...schema, ...chosen(schema, value) };
}

/**
 * Returns every setting and section, depth first in the schema's order; of variants each setting
 * once.
 */
export function allFields(): Field[] {
  const fields = new Map<string, FieldSchema>();
  const visit = (prefix: string, schema: FieldSchema): void => {
    for (const inner of branches(schema)) {
      for (const [name, child] of Object.entries(inner.properties ?? {})) {
        const path = prefix === "" ? name : `${prefix}.${name}`;
        if (!fields.has(path)) fields.set(path, child);
        visit(path, child);
      }
      if (inner.items) visit(`${prefix}[]`, inner.items);
    }
  };
  visit("", runJsonSchema());
  return [...fields].map(([path, schema]) => ({ path, schema }));
}
