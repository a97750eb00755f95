import type { DataContext, OpenedData, RegisteredData } from "../data/dataset.ts";
import { type DataRegistry, DATA_SETS } from "./registry.ts";

/**
 * Opens the data set that a section of a configuration names.
 *
 * @param section a section that its schema has checked.
 *
 * @throws {DataError} of the data set.
 */
export async function openData(
  section: { readonly name: string },
  context: DataContext,
  registry: DataRegistry = DATA_SETS,
): Promise<OpenedData> {
  const entry: RegisteredData = registry[section.name]!;
  return entry.open(section as never, context);
}
