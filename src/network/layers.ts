import type { Tensor } from "../graph/graph.ts";
import { gelu, swiglu } from "../ops/activation.ts";
import { linear, type LinearOptions } from "../ops/linear.ts";
import { layerNorm, rmsNorm } from "../ops/norm.ts";
import type { Scope } from "./scope.ts";

/** The replay scalar that switches adapters on (1) and off (0, the reference policy). */
export const ADAPTER_SCALAR = "adapter";

/**
 * Returns a named linear layer: `name.weight`, `name.bias` where the checkpoint has one, and its
 * adapter.
 *
 * The adapter's factor is a runtime scalar, so one plan serves the policy and its reference.
 */
export function linearLayer(
  scope: Scope,
  name: string,
  x: Tensor,
  options: Pick<LinearOptions, "residual" | "into"> = {},
): Tensor {
  const { graph, weights } = scope;
  const adapter = weights.adapters.get(name);
  const weight = scope.weight(`${name}.weight`);
  const bias = scope.optional(`${name}.bias`);
  if (adapter === undefined) return linear(graph, x, weight, { bias, ...options });
  const { residual, into } = options;
  const base = linear(graph, x, weight, { bias, residual });
  const low = linear(graph, x, graph.parameter(adapter.a));
  return linear(graph, low, graph.parameter(adapter.b), {
    residual: base,
    into,
    scale: ({ scalars }) => adapter.scale * (scalars[ADAPTER_SCALAR] ?? 1),
  });
}

/** Returns a named RMSNorm. */
export function rmsNormLayer(scope: Scope, name: string, x: Tensor, eps: number): Tensor {
  return rmsNorm(scope.graph, x, scope.weight(`${name}.weight`), eps);
}

/** Returns a named LayerNorm with bias. */
export function layerNormLayer(scope: Scope, name: string, x: Tensor, eps: number): Tensor {
  return layerNorm(
    scope.graph,
    x,
    scope.weight(`${name}.weight`),
    scope.weight(`${name}.bias`),
    eps,
  );
}

/**
 * Returns the gated MLP of the decoder and the vision tower: down(silu(gate x) * up x) + residual.
 */
export function gatedMlp(scope: Scope, name: string, x: Tensor, residual: Tensor): Tensor {
  const gate = linearLayer(scope, `${name}.gate_proj`, x);
  const up = linearLayer(scope, `${name}.up_proj`, x);
  const hidden = swiglu(scope.graph, gate, up);
  return linearLayer(scope, `${name}.down_proj`, hidden, { residual });
}

/** Two linear layers with a GELU between them: second(gelu(first x)) + residual. */
export function geluMlp(
  scope: Scope,
  [first, second]: readonly [string, string],
  x: Tensor,
  residual?: Tensor,
): Tensor {
  const hidden = gelu(scope.graph, linearLayer(scope, first, x));
  return linearLayer(scope, second, hidden, residual === undefined ? {} : { residual });
}
