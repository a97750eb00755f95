import { z } from "zod";
import type { RegisteredData } from "../data/dataset.ts";
import { type DataRegistry, DATA_SETS } from "./registry.ts";

/** Settings of training data, whichever set they come from. */
const COMMON = {
  check_rows: z
    .boolean()
    .default(true)
    .describe(
      "Whether every row that the run will use is decoded and measured before training; otherwise " +
        "only the first is, and what is wrong with another one shows when its turn comes.",
    ),
  over_budget: z
    .enum(["stop", "leave_out"])
    .default("stop")
    .describe(
      "What becomes of rows that do not fit: `stop` ends the run before it trains, `leave_out` names " +
        "them, goes on without them and counts them at every step.",
    ),
  unreadable: z
    .enum(["error", "leave_out"])
    .default("error")
    .describe(
      "What becomes of rows whose media cannot be read: `error` names them all and ends the run, " +
        "`leave_out` names them, goes on without them and counts them at every step.",
    ),
};

type Registry = typeof DATA_SETS;
type Section = "settings" | "asked";
type Shape<Name extends keyof Registry, Of extends Section, Common extends z.ZodRawShape> = Common &
  Registry[Name][Of];

/** A section that names one data set of the registry, checked; `Of` is where its settings are. */
export type NamedData<Of extends Section, Common extends z.ZodRawShape> = {
  [Name in keyof Registry]: { name: Name } & z.output<z.ZodObject<Shape<Name, Of, Common>>>;
}[keyof Registry];

/** A section that names one data set of the registry, as YAML writes it. */
export type NamedDataInput<Of extends Section, Common extends z.ZodRawShape> = {
  [Name in keyof Registry]: (Name extends "tiny" ? { name?: Name | undefined } : { name: Name }) &
    z.input<z.ZodObject<Shape<Name, Of, Common>>>;
}[keyof Registry];

/**
 * Makes the schema of a section that names one data set and holds its settings: one variant for each
 * set of a registry, so that settings of one do not exist for another.
 *
 * @param of which settings: those of training data or of a benchmark.
 * @param common settings that every variant has.
 */
export function namedDataSchema<Of extends Section, Common extends z.ZodRawShape>(
  of: Of,
  common: Common,
  registry: DataRegistry = DATA_SETS,
): z.ZodType<NamedData<Of, Common>, NamedDataInput<Of, Common>> {
  const names = Object.keys(registry);
  const list = Object.entries(registry)
    .map(([name, { doc }]) => `\`${name}\`: ${doc}`)
    .join("; ");
  const variants = Object.entries(registry).map(([name, entry]: [string, RegisteredData], at) => {
    const literal = z.literal(name);
    const key = at === 0 ? literal.optional().default(names[0]!) : literal;
    return z.strictObject({ name: key.describe(`Data set. ${list}.`), ...entry[of], ...common });
  });
  // The entries lose which settings go with which name; the types above give them back.
  return z.discriminatedUnion("name", variants as never) as never;
}

/** The schema of the data to train on. */
export const dataSchema = namedDataSchema("settings", COMMON);

/** The settings of the data to train on, checked. */
export type DataConfig = z.output<typeof dataSchema>;
