/** Which parts of the model train, in the words of Qwen's own fine-tuning scripts. */
export interface TuningGroups {
  /** Decoder, embedding and head. */
  tune_mm_llm: boolean;
  /** Vision tower without its merger. */
  tune_mm_vision: boolean;
  /** Audio tower without its projection. */
  tune_mm_audio: boolean;
  /** The vision merger and the audio projection. */
  tune_mm_mlp: boolean;
  /** Names that stay frozen besides; `*` stands for any characters. */
  freeze: readonly string[];
}

/** The group that a canonical parameter name belongs to. */
export function tuningGroup(name: string): Exclude<keyof TuningGroups, "freeze"> {
  if (name.startsWith("visual.merger.") || /^audio_tower\.(ln_post|proj)\./.test(name)) {
    return "tune_mm_mlp";
  }
  if (name.startsWith("visual.")) return "tune_mm_vision";
  return name.startsWith("audio_tower.") ? "tune_mm_audio" : "tune_mm_llm";
}

/** True when a parameter trains under these groups and freeze patterns. */
export function trains(name: string, groups: TuningGroups): boolean {
  if (!groups[tuningGroup(name)]) return false;
  // Present in every checkpoint, used by no forward pass: it can have no gradient.
  if (name === "audio_tower.audio_bos_eos_token.weight") return false;
  return !groups.freeze.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(name);
  });
}
