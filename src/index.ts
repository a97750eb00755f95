export {
  AubadeError,
  CheckpointError,
  ConfigError,
  DataError,
  DeviceError,
  ShapeError,
  type ErrorDetails,
} from "./core/errors.ts";
export type { Listener } from "./core/events.ts";
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
export { loadConfig, type LoadConfigOptions } from "./config/load.ts";
export type { RunConfig, RunInput } from "./config/schema.ts";
export type { DataRow, DataSet } from "./data/dataset.ts";
export type { DataModule } from "./data/module/entry.ts";
export type { TinyRow } from "./data/tiny/dataset.ts";
export { openDevice, type Device, type DeviceOptions } from "./gpu/device.ts";
export type { Capabilities, Tier } from "./gpu/capabilities.ts";
export { loadAudio, loadVideo } from "./media/load.ts";
export type { AudioClip, MediaSource, VideoClip } from "./media/types.ts";
export { loadModel, type LoadOptions } from "./model/load.ts";
export { loadMedium, type LoadedMedium } from "./prompt/media.ts";
export type { Model } from "./model/model.ts";
export { Processor, type ProcessOptions, type ProcessRequest } from "./model/processor.ts";
export type { Sample } from "./prompt/sample.ts";
export {
  defineReward,
  type AsyncReward,
  type Completion,
  type Reward,
  type RewardRow,
  type WeightedReward,
} from "./reward/reward.ts";
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
export type { Conversation, MediaPart, MediaReference, Message } from "./text/chat-template.ts";
export { evaluate } from "./run/evaluate.ts";
export type {
  BenchmarkResult,
  EvalResult,
  Rows,
  RunExport,
  RunParts,
  TrainOptions,
  TrainResult,
} from "./run/options.ts";
export { train } from "./run/train.ts";
