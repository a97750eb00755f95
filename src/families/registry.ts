import { CheckpointError } from "../core/errors.ts";
import { ConfigReader } from "../io/config-reader.ts";
import type { Family, FamilyModel } from "./family.ts";
import { qwen25Omni } from "./qwen2-5-omni/family.ts";
import { qwen25Vl } from "./qwen2-5-vl/family.ts";
import { qwen2Audio } from "./qwen2-audio/family.ts";

const FAMILIES: Family[] = [qwen25Omni, qwen25Vl, qwen2Audio];

/**
 * Makes the models of a family loadable, beside those that are built in.
 *
 * @throws {CheckpointError} `family-exists` when another family reads one of its model types.
 */
export function registerFamily(family: Family): void {
  const clash = FAMILIES.find(
    (other) =>
      other !== family && other.modelTypes.some((type) => family.modelTypes.includes(type)),
  );
  if (clash !== undefined) {
    throw new CheckpointError(
      "family-exists",
      `${family.name} reads ${family.modelTypes.join(", ")}, of which ${clash.name} reads some already.`,
      { hint: "Give the family a model_type of its own." },
    );
  }
  if (!FAMILIES.includes(family)) FAMILIES.push(family);
}

/**
 * Parses the `config.json` of a checkpoint of any family.
 *
 * The family is the one that `model_type` names; where that is missing, the one of a class under
 * `architectures`.
 *
 * @throws {CheckpointError} `unknown-model`, or `bad-config` that names the key and the value.
 */
export function parseModelConfig(text: string, file = "config.json"): FamilyModel {
  const top = ConfigReader.parse(text, file);
  const type = top.has("model_type") ? top.text("model_type") : undefined;
  const classes = top.texts("architectures", []);
  const family = FAMILIES.find(({ modelTypes, architectures }) =>
    type === undefined
      ? classes.some((name) => architectures.includes(name))
      : modelTypes.includes(type),
  );
  if (family !== undefined) {
    const { name, names } = family;
    return { family, name, names, ...family.describe(top) };
  }
  const what = [type, ...classes].filter((name) => name !== undefined).join(", ") || "no model";
  throw new CheckpointError("unknown-model", `${file}: it describes ${what}, which is not read.`, {
    hint: `Use a checkpoint of ${FAMILIES.map(({ name }) => name).join(", ")}.`,
  });
}
