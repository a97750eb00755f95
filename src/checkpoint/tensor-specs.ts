/** The description of a model's tensor, apart from its values. */
export interface TensorSpec {
  readonly shape: readonly number[];
  /** The part of the model that it belongs to. */
  readonly part: "decoder" | "vision" | "audio";
  /** True in what joins a tower to the decoder: a merger or a projection. */
  readonly joins?: true;
  /**
   * Set for a matrix that is no linear layer, and so takes no adapter: the embedding, the head, or rows
   * that are added to others, which kernels read as f32.
   */
  readonly table?: "embedding" | "head" | "rows";
  /** True for a tensor that never trains. */
  readonly fixed?: true;
  /** True for a tensor that no forward pass uses: it may be missing, and it is fixed. */
  readonly unused?: true;
  /** Factor of a new matrix's standard deviation, which is 1 / sqrt(fan-in) without. */
  readonly gain?: number;
}

/** The tensors of a model by canonical name, in the order of the model. */
export type TensorSpecs = ReadonlyMap<string, TensorSpec>;

/** A tensor's canonical name and what it is. */
export type TensorEntry = [name: string, spec: TensorSpec];

/** The part of a tensor's description that all tensors of a layer share. */
export type LayerSpec = Pick<TensorSpec, "part" | "joins" | "gain">;

/** Returns the tensors of a linear layer. */
export function linearTensors(
  name: string,
  outputs: number,
  inputs: number,
  layer: LayerSpec,
  bias = true,
): TensorEntry[] {
  const weight: TensorEntry = [`${name}.weight`, { shape: [outputs, inputs], ...layer }];
  return bias ? [weight, vectorTensor(`${name}.bias`, outputs, layer)] : [weight];
}

/** Returns a vector: the scale of a norm, or a bias. */
export function vectorTensor(name: string, width: number, { part, joins }: LayerSpec): TensorEntry {
  return [name, { shape: [width], part, ...(joins && { joins }) }];
}

/** Returns the tensors of a LayerNorm. */
export function layerNormTensors(name: string, width: number, layer: LayerSpec): TensorEntry[] {
  return [vectorTensor(`${name}.weight`, width, layer), vectorTensor(`${name}.bias`, width, layer)];
}

/**
 * Returns true for weights that stay f32 however frozen matrices are stored, because kernels read
 * them as f32: vectors (norms, biases), and tables that are added to rows instead of multiplied
 * with them.
 */
export function staysF32({ shape, table }: TensorSpec): boolean {
  return shape.length < 2 || table === "rows";
}

/** Returns true for the matrix of a linear layer with room for an adapter. */
export function takesAdapter(name: string, { shape, table }: TensorSpec): boolean {
  return shape.length === 2 && table === undefined && name.endsWith(".weight");
}
