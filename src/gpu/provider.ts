/** Where adapters come from: Dawn in Node, `navigator.gpu` in a browser. */
export interface GpuProvider {
  /** The entry point of WebGPU, referenced for as long as anything needs it. */
  gpu: GPU;
  /** Says that the caller needs `gpu` no longer; devices must be destroyed before. */
  dispose(): void;
}

/** What may be asked of a provider. */
export interface ProviderFlags {
  /** "null": Dawn's backend that checks shaders and pipelines and computes nothing (Node only). */
  backend?: "null";
}
