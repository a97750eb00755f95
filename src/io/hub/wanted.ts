import { CheckpointError } from "../../core/errors.ts";
import { quoted, shown } from "../../core/quoted.ts";
import { checkFileName } from "./name.ts";

const INDEX = "model.safetensors.index.json";

/** Files that are fetched when a repository has them, apart from the weights. */
export const SMALL_FILES: readonly string[] = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "chat_template.json",
  "chat_template.jinja",
  "preprocessor_config.json",
  "video_preprocessor_config.json",
  "processor_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  INDEX,
  // The descriptions come last: a snapshot gets its files in this order, so that one whose
  // description is there is whole.
  "adapter_config.json",
  "config.json",
];

const ADAPTER = "adapter_model.safetensors";
const WHOLE = "model.safetensors";

/** Says whether no model of aubade reads a tensor: it belongs to the part that speaks. */
export function isUnusedTensor(name: string): boolean {
  return name.startsWith("talker.") || name.startsWith("token2wav.");
}

/**
 * Returns the shards that an index names, sorted, without those that hold unused tensors only.
 *
 * @throws {CheckpointError} `bad-index`, `bad-file-name`; `where` says which index it is.
 */
export function wantedShards(indexText: string, where: string): string[] {
  let map: unknown;
  try {
    map = (JSON.parse(indexText) as { weight_map?: unknown } | null)?.weight_map;
  } catch {
    map = undefined;
  }
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new CheckpointError("bad-index", `${where} is no JSON object with a "weight_map".`, {
      hint: "Remove it from the cache and fetch it again.",
    });
  }
  const shards = new Set<string>();
  for (const [tensor, file] of Object.entries(map)) {
    const name = checkFileName(file, where);
    if (!name.endsWith(".safetensors")) {
      throw new CheckpointError(
        "bad-index",
        `${where} says ${quoted(tensor)} is in ${shown(name)}.`,
        {
          hint: "Only safetensors weights are read; choose a repository that has them.",
        },
      );
    }
    if (!isUnusedTensor(tensor)) shards.add(name);
  }
  return [...shards].sort();
}

/** The files to fetch of a repository before its index, if it has one, is read. */
export interface WantedFiles {
  /** Files other than the weights, in the order in which a snapshot gets them. */
  small: string[];
  /** Files with weights that are known without an index. */
  weights: string[];
  /** True when the index says which further files hold weights. */
  hasIndex: boolean;
}

/**
 * Chooses among the files of a repository; other formats of weights are never taken.
 *
 * @throws {CheckpointError} `not-a-model`, `missing-weights`.
 */
export function wantedFiles(listing: readonly string[], repository: string): WantedFiles {
  const has = (file: string) => listing.includes(file);
  const small = SMALL_FILES.filter(has);
  if (!has("config.json") && !has("adapter_config.json")) {
    throw new CheckpointError(
      "not-a-model",
      `${repository} has neither config.json nor adapter_config.json.`,
      { hint: "Check the name of the model." },
    );
  }
  const hasIndex = has(INDEX);
  const weights = [ADAPTER, WHOLE].filter((file) => has(file) && !(file === WHOLE && hasIndex));
  if (weights.length > 0 || hasIndex) return { small, weights, hasIndex };
  const others = listing.filter((file) => /\.(bin|pth?|ckpt|h5|msgpack|gguf|onnx)$/.test(file));
  const instead = others.length > 0 ? ` It has ${others.slice(0, 3).join(", ")}.` : "";
  throw new CheckpointError("missing-weights", `${repository} has no safetensors.${instead}`, {
    hint: "Only safetensors weights are read; choose a repository or a revision that has them.",
  });
}

/** The files that a model needs, as far as a snapshot in the cache holds them. */
export interface Survey {
  /** Needed files that are not there. */
  missing: string[];
  /** True when nothing else could be wanted: every other file is known to be absent on the Hub. */
  certain: boolean;
}

/**
 * Says what a snapshot lacks, from the cache alone.
 *
 * A model needs its config, its weights and a tokenizer; an adapter its config and its weights.
 * `present` says whether a file is there and whole, `knownAbsent` whether the repository is known
 * not to have it.
 */
export async function survey(
  present: (file: string) => Promise<boolean>,
  knownAbsent: (file: string) => Promise<boolean>,
  readIndex: () => Promise<string>,
  where: string,
): Promise<Survey> {
  const files = [...SMALL_FILES, ADAPTER, WHOLE];
  const found = new Set<string>();
  let certain = true;
  for (const file of files) {
    if (await present(file)) found.add(file);
    else if (!(await knownAbsent(file))) certain = certain && file === WHOLE && found.has(INDEX);
  }
  const missing: string[] = [];
  const isAdapter = found.has("adapter_config.json");
  const need = (file: string) => void (found.has(file) || missing.push(file));
  if (isAdapter && !found.has("config.json")) need(ADAPTER);
  else {
    need("config.json");
    const pieces = found.has("vocab.json") && found.has("merges.txt");
    if (!pieces && !(await knownAbsent("tokenizer.json"))) need("tokenizer.json");
    if (found.has(INDEX)) {
      for (const shard of wantedShards(await readIndex(), where)) {
        if (!(await present(shard))) missing.push(shard);
      }
    } else if (!found.has(ADAPTER)) need(WHOLE);
  }
  return { missing, certain: certain && missing.length === 0 };
}
