import { Graph } from "../graph/graph.ts";
import { adamw, clipCoefficient } from "../ops/optimizer.ts";
import { Plan } from "../graph/plan/plan.ts";
import { Storage, type Parameter } from "../graph/storage.ts";
import type { Device } from "../gpu/device.ts";
import { adamwParams } from "../kernels/optimizer.ts";

/** AdamW's settings, under TRL's names. */
export interface AdamWSettings {
  adam_beta1: number;
  adam_beta2: number;
  adam_epsilon: number;
  weight_decay: number;
  max_grad_norm: number;
}

/** TRL's defaults. */
export const ADAMW_DEFAULTS: Readonly<AdamWSettings> = {
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-8,
  weight_decay: 0,
  max_grad_norm: 1,
};

/**
 * Tells whether transformers' Trainer decays a parameter: biases and norms stay as they are.
 *
 * Its patterns are of names, so the vision tower's `norm1`, `norm2` and `ln_q` are decayed there, and
 * here. Source: transformers 4.57.6, Trainer.get_decay_parameter_names.
 */
export function isDecayed(name: string): boolean {
  return !/bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)/.test(name);
}

/** AdamW over a model's trained parameters: moments in f32, one replay per update, no read-back. */
export class AdamW {
  /** First and second moments by parameter name. */
  readonly moments: ReadonlyMap<string, { m: Storage; v: Storage }>;
  /** Updates done, which bias correction counts. */
  step = 0;
  readonly #plan: Plan;
  readonly #settings: AdamWSettings;

  /**
   * Makes the state, all zero, and the plan of an update.
   *
   * @param parameters such as `model.weights.trained`, each with a gradient.
   * @param settings what is left out takes `ADAMW_DEFAULTS`.
   * @param decays says which parameters `weight_decay` is for; all when left out.
   */
  static async create(
    device: Device,
    parameters: readonly Parameter[],
    settings: Partial<AdamWSettings> = {},
    decays: (name: string) => boolean = () => true,
  ): Promise<AdamW> {
    const moments = new Map(
      parameters.map(({ name, value: { rows, width } }) => [
        name,
        {
          m: new Storage(device, `m.${name}`, rows, width),
          v: new Storage(device, `v.${name}`, rows, width),
        },
      ]),
    );
    const graph = new Graph();
    const gradients = parameters.map((parameter) => graph.stored(parameter.gradient!));
    const clip = graph.keep("clip", clipCoefficient(graph, gradients));
    parameters.forEach((parameter, index) => {
      const { m, v } = moments.get(parameter.name)!;
      const value = graph.parameter(parameter);
      const state = { m: graph.stored(m), v: graph.stored(v) };
      adamw(
        graph,
        { value, gradient: gradients[index]!, ...state, decay: decays(parameter.name) },
        clip,
      );
    });
    const plan = await Plan.compile(device, graph, { label: "adamw", capacity: {} });
    return new AdamW(plan, moments, { ...ADAMW_DEFAULTS, ...settings });
  }

  private constructor(
    plan: Plan,
    moments: ReadonlyMap<string, { m: Storage; v: Storage }>,
    settings: AdamWSettings,
  ) {
    this.#plan = plan;
    this.moments = moments;
    this.#settings = settings;
  }

  /** One update from the accumulated gradients, clipped by their global norm. */
  async update(learningRate: number): Promise<void> {
    this.step++;
    const settings = this.#settings;
    const scalars = adamwParams({
      learningRate,
      beta1: settings.adam_beta1,
      beta2: settings.adam_beta2,
      eps: settings.adam_epsilon,
      weightDecay: settings.weight_decay,
      step: this.step,
    });
    await this.#plan.run({}, { ...scalars, maxGradNorm: settings.max_grad_norm });
  }

  /** The gradient norm before clipping of the last update; waits for it. */
  async gradientNorm(): Promise<number> {
    const [norm] = await this.#plan.read("clip", 1);
    return norm!;
  }

  /** Frees moments and plan. */
  destroy(): void {
    this.#plan.destroy();
    for (const { m, v } of this.moments.values()) {
      m.destroy();
      v.destroy();
    }
  }
}
