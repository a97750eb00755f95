import type { DataSet } from "../data/dataset.ts";
import { RowOrder } from "../data/row-order.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import { Reference } from "../policy/reference.ts";
import { Generator } from "../rollout/generator.ts";
import { tokenFacts } from "../rollout/token-facts.ts";
import type { RolloutSource } from "../rollout/source.ts";
import { rowsToAsk } from "./draw-groups.ts";
import { type GrpoSetup, GrpoTask } from "./grpo.ts";
import { AdamW, isDecayed } from "./optimizer.ts";
import { checkRows, RowBudget } from "./row-budget.ts";
import { RowFeed } from "./row-feed.ts";
import { learningRateAt, totalStepsOf } from "./schedule.ts";
import type { TaskSettings } from "./task.ts";

/** Parts of a GRPO task besides its settings. */
export interface GrpoParts extends Pick<GrpoSetup, "events" | "rewards"> {
  dataset: DataSet;
  /** Makes what generates the completions; the engine that trains when left out. */
  rollouts?: ((model: Model, processor: Processor) => RolloutSource) | undefined;
}

/**
 * Opens GRPO as the settings say: makes what the rows in use need, checks them, and makes optimizer,
 * reference and rollout source.
 *
 * @throws {ConfigError | DataError} of rows and budgets; {DeviceError} `out-of-memory`.
 */
export async function openGrpo(
  model: Model,
  processor: Processor,
  settings: TaskSettings,
  { events, rewards, dataset, rollouts }: GrpoParts,
): Promise<GrpoTask> {
  const { max_tokens_per_batch: tokensPerBatch } = settings.rollout;
  const source =
    rollouts?.(model, processor) ?? new Generator(model, tokenFacts(processor), tokensPerBatch);
  try {
    return await openAround(source, model, processor, settings, { events, rewards, dataset });
  } catch (error) {
    source.destroy();
    throw error;
  }
}

async function openAround(
  source: RolloutSource,
  model: Model,
  processor: Processor,
  settings: TaskSettings,
  { events, rewards, dataset }: GrpoParts,
): Promise<GrpoTask> {
  const { train, rollout, health } = settings;
  source.checkRoom?.(train.num_generations, rollout.max_completion_length);
  const perBatch = rowsToAsk(train.prompts_per_step, rollout.over_sampling);
  const totalSteps = totalStepsOf(train, dataset.length);
  const wanted = totalSteps * rollout.max_batches_per_step * perBatch;
  const order = new RowOrder(dataset.length, train.seed, train.shuffle_dataset);
  await dataset.prepare?.(order.used(wanted), events);
  const completion = rollout.max_completion_length;
  const measure = new RowBudget({ processor, settings, completion });
  const leftOut = await checkRows({ measure, settings, dataset, order, events }, wanted);
  const optimizer = await AdamW.create(model.device, model.weights.trained, train, isDecayed);
  const measured = train.beta > 0 || train.measure_kl;
  // Before a checkpoint is restored: the reference is what the run started from.
  const reference = measured
    ? await Reference.of(model, { offload: train.ref_model_offload })
    : undefined;
  return new GrpoTask({
    loader: measure.loader,
    ...{ model, processor, source, optimizer, reference },
    ...{ train, totalSteps, rollout, health, events, rewards },
    feed: new RowFeed({ dataset, order, measure, settings, leftOut, events }),
    lenient: settings.data.unreadable === "leave_out",
    learningRate: (step) => learningRateAt(train, step, totalSteps),
  });
}
