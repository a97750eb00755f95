import type { TensorNames } from "../checkpoint/tensor-names.ts";
import type { TensorSpecs } from "../checkpoint/tensor-specs.ts";
import type { ConfigReader } from "../io/config-reader.ts";
import type { ModelConfig } from "../network/config.ts";
import type { MediaTokens, MediumShape, PromptLayout } from "../prompt/layout.ts";
import type { Preprocessing, PreprocessorFiles } from "../prompt/preprocessing.ts";

/** Everything in which one family of models differs from the others. */
export interface Family {
  /** As the makers write it. */
  readonly name: string;
  /** `model_type` of a `config.json`, and the class names under `architectures`. */
  readonly modelTypes: readonly string[];
  readonly architectures: readonly string[];
  /** Class of transformers that holds all that is trained here. */
  readonly pythonClass: string;
  /** How checkpoints name tensors. */
  readonly names: TensorNames;
  /** The chat template of the released checkpoints, for a folder without one. */
  readonly chatTemplate: string;
  /** Spellings of the tokens that stand for media or surround them. */
  readonly spellings: Partial<Readonly<Record<keyof MediaTokens, string>>>;
  /** Parses a `config.json`: what the model computes, stores and is asked. */
  readonly describe: (top: ConfigReader) => Description;
}

/** The description that a family makes of one `config.json`. */
export interface Description extends Omit<ModelConfig, "name"> {
  /** Every tensor that the model stores. */
  readonly tensors: TensorSpecs;
  /** Parses the preprocessor files of a checkpoint. */
  readonly preprocessing: (files: PreprocessorFiles) => Preprocessing;
  readonly layout: Layout;
}

/** A model of a family, as its `config.json` describes it. */
export interface FamilyModel extends ModelConfig, Description {
  readonly family: Family;
  readonly names: TensorNames;
}

/**
 * Expands the placeholders of a tokenised prompt and gives every token its positions.
 *
 * @param ids the tokenised prompt, one placeholder per medium.
 * @param media the media in the order of their placeholders.
 * @throws {DataError} `placeholder-mismatch` when placeholders and media do not pair up.
 */
export type Layout = (
  ids: ArrayLike<number>,
  media: readonly MediumShape[],
  prompt: PromptFacts,
) => PromptLayout;

/** The facts of a prompt that a layout may use besides its tokens and media. */
export interface PromptFacts {
  tokens: MediaTokens;
  /** Names the row in messages. */
  row: string;
  /** Gives the tokens of a text that the layout writes, such as the time of a frame. */
  encode: (text: string) => readonly number[];
}
