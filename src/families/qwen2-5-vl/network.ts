import { splitColumns } from "../../graph/ops/columns.ts";
import type { Tensor } from "../../graph/graph.ts";
import { linear } from "../../network/layers.ts";
import type { Towers } from "../family.ts";
import { visionTower } from "../../network/towers/vision.ts";

/** Source: transformers 4.57.6 `Qwen2_5_VisionTransformerPretrainedModel`. */
export const towers: Towers = {
  vision(scope, config, inputs, into) {
    const { hiddenSize } = config;
    const project = (name: string, x: Tensor) => {
      const fused = linear(scope, `${name}.qkv`, x);
      const [q, k, v] = splitColumns(scope.graph, fused, [hiddenSize, hiddenSize, hiddenSize]);
      return { q: q!, k: k!, v: v! };
    };
    return visionTower(scope, config, inputs, project, into);
  },
};
