import type { FeatureStorages } from "../network/decoder/packed-decoder.ts";
import type { FeatureOffset } from "../network/decoder/packed.ts";
import type { Sample } from "../prompt/sample.ts";

/**
 * Media features that lie on the device since a rollout: whose they are, and where.
 *
 * A training pass may read them in place of running the towers again, as long as the towers do not
 * train. One set of storages is one object: a plan that was traced over them is of no use for another.
 */
export class HeldFeatures {
  readonly storages: FeatureStorages;
  readonly #offsets = new Map<Sample, FeatureOffset>();

  constructor(storages: FeatureStorages) {
    this.storages = storages;
  }

  /** Notes that the features of these samples, in their order, replace those that were there. */
  hold(samples: readonly Sample[]): void {
    this.#offsets.clear();
    const next = { vision: 0, audio: 0 };
    for (const sample of samples) {
      this.#offsets.set(sample, { ...next });
      next.vision += sample.visionRows.length;
      next.audio += sample.audioRows.length;
    }
  }

  /** Returns where the features of samples begin; undefined unless those of all are there. */
  offsetsOf(samples: readonly Sample[]): FeatureOffset[] | undefined {
    const offsets = samples.flatMap((sample) => this.#offsets.get(sample) ?? []);
    return offsets.length === samples.length ? offsets : undefined;
  }
}
