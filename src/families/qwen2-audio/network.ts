import type { Towers } from "../family.ts";
import { projectSound, whisperTower } from "../../network/towers/audio.ts";
import { POSITIONS } from "./weights.ts";

/**
 * transformers pads every clip to the tower's length and masks the padding as keys; rows of padding
 * reach nothing that is used, so only the rows of the clip itself are computed here.
 *
 * Source: transformers 4.57.6 `Qwen2AudioEncoder`, `Qwen2AudioMultiModalProjector`.
 */
export const towers: Towers = {
  audio(scope, config, inputs, into) {
    const pooled = whisperTower(scope, config, inputs, scope.weight(POSITIONS));
    const names = { norm: "audio_tower.layer_norm", projection: "multi_modal_projector.linear" };
    return projectSound(scope, pooled, names, into);
  },
};
