import { Option } from "commander";
import { ConfigError } from "../core/errors.ts";
import { STORAGE_NAMES } from "../core/storage-types.ts";
import { deviceSchema } from "../gpu/schema.ts";

/** Returns the `--storage` option of commands that load a model. */
export function storageOption(): Option {
  return new Option("--storage <type>", "storage of frozen matrices")
    .choices(STORAGE_NAMES)
    .default("f32");
}

/** Returns the `--tier` option of commands that open a device. */
export function tierOption(): Option {
  return new Option("--tier <tier>", "highest kernel tier: t0, t1, t2 or auto")
    .default("auto")
    .argParser((text: string) => {
      const tier = text === "auto" ? text : text.toUpperCase();
      if (deviceSchema.safeParse({ tier }).success) return tier;
      throw new ConfigError("usage", `there is no tier "${text}".`, { hint: "Use t0, t1 or t2." });
    });
}
