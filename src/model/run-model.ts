import type { StorageName } from "../core/storage-types.ts";
import { modelFolder, type HubOptions } from "#hub";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { Model, ModelLoading } from "./model.ts";
import type { BaseModelConfig } from "./schema.ts";
import { ModelWeights } from "../checkpoint/weights.ts";

/** A checkpoint that a run starts from. */
export interface BaseModel {
  /** The folder of its files: in the cache, for a name on the Hub. */
  folder: string;
  /** As the configuration names it, which is what adapters name, too. */
  name: string;
  /** Its branch, tag or commit on the Hub; null for the main branch. */
  revision: string | null;
}

/** Options for names on the Hub that report downloads and warnings as events of a run. */
function reportingHub(revision: string | null, events: Events): HubOptions {
  return {
    revision,
    onProgress: ({ bytes, total, bytesPerSecond }) => {
      const rate = { unit: "B", ratePerS: bytesPerSecond };
      report(events, "progress", { what: "downloading", done: bytes, total, ...rate });
    },
    onWarning: (message) => report(events, "warning", { code: "hub", message }),
  };
}

/**
 * Makes the files of a run's model available: a folder as it is, a name on the Hub by a download.
 *
 * @throws {CheckpointError | ConfigError} as `modelFolder`.
 */
export async function fetchModel(
  { path, revision }: BaseModelConfig,
  events: Events,
): Promise<BaseModel> {
  const folder = await modelFolder(path, reportingHub(revision, events));
  return { folder, name: path, revision };
}

/**
 * Says how a run loads weights: with progress as events, also of the download of an adapter's base.
 */
export function reportedLoading(events: Events, what = "loading"): ModelLoading {
  return {
    hub: reportingHub(null, events),
    onProgress: (done, total) => report(events, "progress", { what, done, total, unit: "B" }),
  };
}

/** Reports what was loaded. */
export function reportModel({ weights }: Model, storage: StorageName, events: Events): void {
  const all = [...weights.distinct, ...weights.adapterParameters];
  report(events, "model", {
    parameters: ModelWeights.count(all),
    tensors: all.length,
    trained: ModelWeights.count(weights.trained),
    storage,
    inexact: weights.inexact,
  });
}
