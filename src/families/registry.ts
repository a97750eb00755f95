import { CheckpointError } from "../core/errors.ts";
import { ConfigReader } from "../io/config-reader.ts";
import type { ModelConfig } from "../network/config.ts";
import type { Family } from "./family.ts";
import { qwen25Omni } from "./qwen2-5-omni/family.ts";
import { qwen25Vl } from "./qwen2-5-vl/family.ts";
import { qwen2Audio } from "./qwen2-audio/family.ts";

/** Every family that can be loaded. */
export const FAMILIES: readonly Family[] = [qwen25Omni, qwen25Vl, qwen2Audio];

/**
 * Parses the `config.json` of a checkpoint of any family.
 *
 * The family is the one that `model_type` names; where that is missing, the one of a class under
 * `architectures`.
 *
 * @throws {CheckpointError} `unknown-model`, or `bad-config` that names the key and the value.
 */
export function parseModelConfig(text: string, file = "config.json"): ModelConfig {
  const top = ConfigReader.parse(text, file);
  const type = top.has("model_type") ? top.text("model_type") : undefined;
  const classes = top.texts("architectures", []);
  const family = FAMILIES.find(({ modelTypes, architectures }) =>
    type === undefined
      ? classes.some((name) => architectures.includes(name))
      : modelTypes.includes(type),
  );
  if (family !== undefined) return { family, ...family.parseConfig(top) };
  const what = [type, ...classes].filter((name) => name !== undefined).join(", ") || "no model";
  throw new CheckpointError("unknown-model", `${file}: it describes ${what}, which is not read.`, {
    hint: `Use a checkpoint of ${FAMILIES.map(({ name }) => name).join(", ")}.`,
  });
}
