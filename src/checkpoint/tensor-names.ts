import type { TensorSpecs } from "./tensor-specs.ts";

/** The settings and tensor names of the folder that an export imitates. */
export interface LikeFolder {
  /** Its `config.json`. */
  settings: Readonly<Record<string, unknown>>;
  /** Names of the tensors that it stores. */
  names: readonly string[];
}

/** How a family's checkpoints name their tensors, and what else stands in their folders. */
export interface TensorNames {
  /**
   * Name under which a checkpoint stores a tensor.
   *
   * @param like the folder whose spelling is taken; left out: as released checkpoints on the Hub.
   */
  stored(canonical: string, like?: LikeFolder): string;
  /**
   * Brings any spelling of a stored tensor to the name that this code uses.
   *
   * @returns undefined for tensors of parts that are not read, such as Omni's speech half.
   */
  canonical(stored: string): string | undefined;
  /** Path of a tensor or layer among the modules of transformers 4.57.6: what PEFT writes. */
  module(canonical: string): string;
  /** Files that an export copies besides the tokenizer's and the processor's. */
  readonly companions?: readonly string[];
  /** Changes of `config.json` in an export, where not all parts of the base are exported. */
  exportedSettings?(settings: Readonly<Record<string, unknown>>): Record<string, unknown>;
}

/** The part of a model's description that files of weights need: names and forms of tensors. */
export interface TensorForm {
  readonly names: TensorNames;
  readonly tensors: TensorSpecs;
}
