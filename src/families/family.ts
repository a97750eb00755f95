import type { Tensor } from "../graph/graph.ts";
import type { Scope } from "../network/scope.ts";
import type { ConfigReader } from "../io/config-reader.ts";
import type { AudioConfig, ModelConfig, VisionConfig } from "../network/config.ts";
import type { MediaTokens, MediumShape, PromptLayout } from "../prompt/layout.ts";
import type { ProcessorConfig, ProcessorConfigFiles } from "../prompt/processor-config.ts";
import type { TensorNames } from "../checkpoint/tensor-names.ts";
import type { AudioInputs } from "../network/towers/audio.ts";
import type { VisionInputs } from "../network/towers/vision.ts";

/** Everything in which one family of models differs from the others. */
export interface Family {
  /** As the makers write it. */
  readonly name: string;
  /** `model_type` of a `config.json`, and the class names under `architectures`. */
  readonly modelTypes: readonly string[];
  readonly architectures: readonly string[];
  /** Parses a `config.json`. */
  readonly parseConfig: (top: ConfigReader) => Omit<ModelConfig, "family">;
  /** Every tensor that a model stores, by canonical name, with its shape. */
  readonly tensors: (config: ModelConfig) => Map<string, number[]>;
  readonly names: TensorNames;
  readonly towers: Towers;
  readonly processor: FamilyProcessor;
}

/** The towers of a family as functions over a graph; features go to the storage `into` when given. */
export interface Towers {
  /** Returns [cells, outHiddenSize] f32. */
  vision?(scope: Scope, config: VisionConfig, inputs: VisionInputs, into?: Tensor): Tensor;
  /** Returns [audioFeatures, outputDim] f32. */
  audio?(scope: Scope, config: AudioConfig, inputs: AudioInputs, into?: Tensor): Tensor;
}

/** How a family's prompts are made. */
export interface FamilyProcessor {
  /** The chat template of the released checkpoints, for a folder without one. */
  readonly chatTemplate: string;
  /** Spellings of the tokens that stand for media or surround them. */
  readonly spellings: Partial<Readonly<Record<keyof MediaTokens, string>>>;
  /** Parses the preprocessor files of a checkpoint. */
  readonly parseConfig: (files: ProcessorConfigFiles) => ProcessorConfig;
  /**
   * Expands the placeholders of a tokenised prompt and gives every token its positions.
   *
   * @param ids the tokenised prompt, one placeholder per medium.
   * @param media the media in the order of their placeholders.
   * @param row names the row in messages.
   * @throws {DataError} `placeholder-mismatch` when placeholders and media do not pair up.
   */
  readonly layout: (
    ids: ArrayLike<number>,
    media: readonly MediumShape[],
    tokens: MediaTokens,
    config: ModelConfig,
    row: string,
  ) => PromptLayout;
}
