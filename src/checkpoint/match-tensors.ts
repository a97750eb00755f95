import { CheckpointError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { TensorForm } from "./tensor-names.ts";

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";
/** Problems that a message lists in full; of the others it gives the number. */
const LISTED = 12;

/**
 * Finds the stored name of every tensor that a model needs, and checks the shapes.
 *
 * A missing head is the embedding: if a head is stored it is used, whatever the configuration says
 * about tying.
 *
 * @param form the tensors that the configuration asks for, and their names.
 * @param stored stored names with shapes, for example `store.tensors`.
 * @returns canonical name to stored name; several names may share a stored one (a tied head).
 * @throws {CheckpointError} `wrong-tensors`, which names every tensor that is missing, has another
 *   shape, stands there twice, or has no place in the model.
 */
export function matchTensors(
  { names, tensors }: TensorForm,
  stored: ReadonlyMap<string, { shape: readonly number[] }>,
  folder: string,
): Map<string, string> {
  const problems: string[] = [];
  const found = new Map<string, string>();
  for (const name of stored.keys()) {
    const canonical = names.canonical(name);
    if (canonical === undefined) continue;
    const other = found.get(canonical);
    if (other !== undefined)
      problems.push(`${quoted(name)} and ${quoted(other)} are the same tensor`);
    else found.set(canonical, name);
  }
  const matched = new Map<string, string>();
  for (const [name, { shape, unused }] of tensors) {
    const source = found.get(name) ?? (name === HEAD ? found.get(EMBEDDING) : undefined);
    if (source === undefined) {
      if (!unused) problems.push(`"${names.stored(name)}" is missing`);
      continue;
    }
    const actual = stored.get(source)!.shape;
    if (actual.join() === shape.join()) matched.set(name, source);
    else
      problems.push(`${quoted(source)} is [${actual.join(", ")}] instead of [${shape.join(", ")}]`);
  }
  for (const [canonical, name] of found) {
    if (!tensors.has(canonical)) problems.push(`${quoted(name)} has no place in this model`);
  }
  if (problems.length === 0) return matched;
  const more = problems.length - LISTED;
  const listed = problems.slice(0, LISTED).join("; ");
  throw new CheckpointError(
    "wrong-tensors",
    `${folder} does not hold the tensors that its config.json asks for: ${listed}` +
      `${more > 0 ? `; and ${more} more` : ""}.`,
    { hint: "Check that config.json and the weights belong together and are whole." },
  );
}
