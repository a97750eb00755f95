export {
  AubadeError,
  CheckpointError,
  ConfigError,
  DataError,
  DeviceError,
  ShapeError,
  type ErrorDetails,
} from "./core/errors.ts";
export { Events, type Listener } from "./core/events.ts";
export type {
  AnswerRecord,
  CompletionRecord,
  Evaluations,
  HealthFinding,
  RolloutRecord,
  RunEvent,
  RunEventKind,
  RunEvents,
  Scores,
} from "./core/run-events.ts";
export type { ExportDType, ExportReport } from "./checkpoint/export.ts";
export type { LoraSettings } from "./checkpoint/lora.ts";
export type { TuningGroups } from "./checkpoint/tuning.ts";
export { loadConfig, type LoadConfigOptions } from "./config/load.ts";
export type { RunConfig, RunInput } from "./config/schema.ts";
export type { DataRow, DataSet } from "./data/dataset.ts";
export type { DataModule } from "./datasets/module/entry.ts";
export { ofRows } from "./data/rows.ts";
export { SampleLoader } from "./data/sample-loader.ts";
export type { TinyRow } from "./datasets/tiny/dataset.ts";
export type { BenchmarkResult } from "./eval/table.ts";
export { adapterReport, type AdapterReport } from "./gpu/adapter-report.ts";
export { openDevice, type Device, type DeviceOptions } from "./gpu/device.ts";
export type { Capabilities, Tier } from "./gpu/capabilities.ts";
export { loadAudio, loadVideo } from "./media/load.ts";
export type { AudioClip, MediaSource, VideoClip } from "./media/types.ts";
export { loadModel, type LoadOptions } from "./model/load.ts";
export { loadMedium, type LoadedMedium } from "./prompt/media.ts";
export type { Model } from "./model/model.ts";
export { saveModel, type SaveOptions } from "./model/save.ts";
export { Processor, type ProcessOptions, type ProcessRequest } from "./model/processor.ts";
export type { Sample } from "./prompt/sample.ts";
export {
  defineGroupReward,
  defineReward,
  type AsyncReward,
  type Completion,
  type Reward,
  type RewardRow,
  type WeightedReward,
} from "./reward/reward.ts";
export { RewardScorer, type RewardGroup } from "./reward/scorer.ts";
export type { ParsedAnswer, ReadAnswer, UnreadAnswer } from "./reward/answer/answer.ts";
export { goldAnswer, type GoldAnswer } from "./reward/answer/gold.ts";
export { parseAnswer } from "./reward/answer/parse.ts";
export {
  generate,
  loadMedia,
  type Answer,
  type GenerateOptions,
  type GenerateRequest,
} from "./rollout/generate.ts";
export { Generator } from "./rollout/generator.ts";
export { tokenFacts, type TokenFacts } from "./rollout/token-facts.ts";
export { rollOut, type RolloutSetup } from "./rollout/roll-out.ts";
export type { RolloutSource } from "./rollout/source.ts";
export {
  DEFAULT_SAMPLING,
  type GenerationRequest,
  type PolicyTree,
  type Rollout,
  type RolloutGroup,
  type SamplingOptions,
} from "./rollout/types.ts";
export {
  type AdvantageEstimator,
  type Advantages,
  computeAdvantages,
} from "./policy/advantages.ts";
export { policyLoss } from "./policy/loss/policy-loss.ts";
export { LOSS_DEFAULTS, type LossSettings } from "./policy/loss/losses.ts";
export type { LossResult } from "./policy/loss/types.ts";
export { Reference } from "./policy/reference.ts";
export { policyTrees } from "./policy/trees.ts";
export { type Accumulated, PolicyUpdater, type PolicySetup } from "./policy/update.ts";
export { AdamW, ADAMW_DEFAULTS, type AdamWSettings } from "./train/optimizer.ts";
export type { Conversation, MediaPart, MediaReference, Message } from "./text/chat-template.ts";
export { evaluate } from "./run/evaluate.ts";
export type {
  EvalResult,
  Rows,
  RunExport,
  RunParts,
  TrainOptions,
  TrainResult,
} from "./run/options.ts";
export { train } from "./run/train.ts";
