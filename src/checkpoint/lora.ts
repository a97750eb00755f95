/** Settings of low-rank adapters that train in the place of weights, under PEFT's names. */
export interface LoraSettings {
  /** Rank of every adapter. */
  r: number;
  /** Numerator of the adapter's scale, which is lora_alpha / r. */
  lora_alpha: number;
  /** True for a scale of lora_alpha / sqrt(r) instead (rank-stabilised LoRA). */
  use_rslora: boolean;
  /**
   * Linear layers that get an adapter: the ends of their names, or patterns of whole names in which
   * `*` stands for any characters; `all-linear` for every linear layer but the head.
   */
  target_modules: string[] | "all-linear";
}

/** Adapters on all linear layers of the decoder. */
export const LORA_DEFAULTS: Readonly<LoraSettings> = {
  r: 16,
  lora_alpha: 32,
  use_rslora: false,
  target_modules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
};
