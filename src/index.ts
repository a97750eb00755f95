export {
  AubadeError,
  CheckpointError,
  ConfigError,
  DataError,
  DeviceError,
  ShapeError,
  type ErrorDetails,
} from "./core/errors.ts";
export { openDevice, type Device, type DeviceOptions } from "./gpu/device.ts";
export type { Capabilities, Tier } from "./gpu/capabilities.ts";
export type { MediaSource } from "./media/types.ts";
export { loadMedium, type LoadedMedium } from "./models/qwen2-5-omni/media.ts";
export {
  Processor,
  type ProcessOptions,
  type ProcessRequest,
} from "./models/qwen2-5-omni/processor.ts";
export type { Sample } from "./models/qwen2-5-omni/sample.ts";
export {
  defineReward,
  type Completion,
  type Reward,
  type RewardRow,
  type WeightedReward,
} from "./reward/reward.ts";
export type { Conversation, MediaPart, Message } from "./text/chat-template.ts";
