import type { Tensor } from "../../graph/graph.ts";
import { linear } from "../../network/layers.ts";
import type { Towers } from "../family.ts";
import { projectSound, whisperTower } from "../../network/towers/audio.ts";
import { visionTower } from "../../network/towers/vision.ts";

/** Source: transformers 4.57.6 `Qwen2_5OmniVisionEncoder` and `Qwen2_5OmniAudioEncoder`. */
export const towers: Towers = {
  vision(scope, config, inputs, into) {
    const project = (name: string, x: Tensor) => ({
      q: linear(scope, `${name}.q`, x),
      k: linear(scope, `${name}.k`, x),
      v: linear(scope, `${name}.v`, x),
    });
    return visionTower(scope, config, inputs, project, into);
  },
  audio(scope, config, inputs, into) {
    const pooled = whisperTower(scope, config, inputs, inputs.sinusoids!);
    const names = { norm: "audio_tower.ln_post", projection: "audio_tower.proj" };
    return projectSound(scope, pooled, names, into);
  },
};
