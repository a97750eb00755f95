import type { RunConfig } from "../../src/config/schema.ts";
import { Events } from "../../src/core/events.ts";
import { SampleLoader } from "../../src/data/sample-loader.ts";
import type { DataRow } from "../../src/data/dataset.ts";
import type { TinyRow } from "../../src/datasets/tiny/dataset.ts";
import { openDataset } from "../../src/datasets/tiny/open.ts";
import type { Device } from "../../src/gpu/device.ts";
import type { Model } from "../../src/model/model.ts";
import { Processor } from "../../src/model/processor.ts";
import { ModelWeights } from "../../src/checkpoint/weights.ts";
import type { Reward } from "../../src/reward/reward.ts";
import { Generator } from "../../src/rollout/generator.ts";
import { tokenFacts } from "../../src/rollout/token-facts.ts";
import { type GrpoSetup, type GrpoStep, GrpoTask } from "../../src/train/grpo.ts";
import type { FedRows } from "../../src/train/row-feed.ts";
import type { Cursor } from "../../src/train/task.ts";
import { AdamW } from "../../src/train/optimizer.ts";
import { Reference } from "../../src/policy/reference.ts";
import { tinyData } from "./tiny-run.ts";
import { loadTrained } from "../../src/run/parts.ts";

/** A reward that tells completions apart: the share of odd token ids, plus some for the length. */
export const oddReward: Reward = {
  name: "odd",
  score: ({ ids }) => ids.filter((id) => id % 2 === 1).length / ids.length + ids.length / 10,
};

/** Rows as a feed gives them, none left out. */
export function fed(rows: DataRow[], place: number): FedRows {
  const indices = rows.map((_, i) => place + i);
  return { rows, indices, end: place + rows.length, leftOut: { over_budget: 0, unreadable: 0 } };
}

/** A GRPO task with its parts within a test's reach. */
export class TrainerBench {
  readonly setup: GrpoSetup;
  readonly task: GrpoTask;
  /** All rows of the run, and those of a step: every step has the same ones. */
  readonly allRows: TinyRow[];
  rows: DataRow[];
  #rate = 0;

  /** Loads the model that a configuration names and sets a task up; `change` replaces parts. */
  static async open(
    device: Device,
    config: RunConfig,
    change: Partial<GrpoSetup> = {},
  ): Promise<TrainerBench> {
    const events = new Events();
    const processor = await Processor.load(config.model.path);
    const model = change.model ?? (await loadTrained(device, config.model.path, config, events));
    const { train, rollout } = config;
    const data = tinyData(config);
    const indices = [...Array(data.clips).keys()];
    const dataset = await openDataset("train", data, indices, data.folder, events);
    const setup: Omit<GrpoSetup, "feed" | "learningRate"> = {
      ...{ model, processor, train, rollout, events },
      totalSteps: train.max_steps!,
      loader: new SampleLoader(processor),
      source: new Generator(model, tokenFacts(processor)),
      optimizer: await AdamW.create(device, model.weights.trained, train),
      rewards: [{ reward: oddReward, weight: 1 }],
      ...(train.beta > 0 && {
        reference: await Reference.of(model, { offload: train.ref_model_offload }),
      }),
    };
    const rows = indices.map((index) => dataset.row(index));
    return new TrainerBench(setup, change, rows);
  }

  private constructor(
    setup: Omit<GrpoSetup, "feed" | "learningRate">,
    change: Partial<GrpoSetup>,
    rows: TinyRow[],
  ) {
    this.allRows = rows;
    this.rows = rows.slice(0, setup.train.prompts_per_step);
    this.setup = {
      ...setup,
      feed: {
        from: (place, count) => fed(this.rows.slice(0, count), place),
        ahead: () => [],
      },
      learningRate: () => this.#rate,
      ...change,
    };
    this.task = new GrpoTask(this.setup);
  }

  /** One step, by default the first one on the first rows. */
  step(rate = 1e-3, cursor: Partial<Cursor> = {}): Promise<GrpoStep> {
    this.#rate = rate;
    const start = { step: 0, stage: 0, draw: 0, samplesConsumed: 0, entropyControl: null };
    return this.task.step({ ...start, ...cursor });
  }

  /** The gradients of the last step's last accumulation, by name. */
  async gradients(): Promise<Map<string, Float32Array>> {
    const gradients = new Map<string, Float32Array>();
    for (const { name, gradient } of this.setup.model.weights.trained) {
      gradients.set(name, await gradient!.download());
    }
    return gradients;
  }

  /** Frees the model and everything around it. */
  close(): void {
    this.task.destroy();
    this.setup.model.weights.destroy();
  }
}

/** All weights of a model, adapters included, by name. */
export async function allWeights({ weights }: Model): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const parameter of [...weights.distinct, ...weights.adapterParameters]) {
    values.set(parameter.name, await ModelWeights.read(parameter));
  }
  return values;
}

/** Names of the weights that differ in any bit. */
export function changedWeights(
  before: ReadonlyMap<string, Float32Array>,
  after: ReadonlyMap<string, Float32Array>,
): string[] {
  return [...after.keys()].filter((name) => {
    const [old, now] = [before.get(name)!, after.get(name)!];
    return now.some((value, i) => !Object.is(value, old[i]));
  });
}
