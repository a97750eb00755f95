/** The source of adapters: Dawn in Node, `navigator.gpu` in a browser. */
export interface GpuProvider {
  /** The entry point of WebGPU, referenced for as long as anything needs it. */
  gpu: GPU;
  /** Says that the caller needs `gpu` no longer; devices must be destroyed before. */
  dispose(): void;
}

/** The wishes that a provider may be told. */
export interface ProviderFlags {
  /** "null": Dawn's backend that checks shaders and pipelines and computes nothing (Node only). */
  backend?: "null";
  /** Part of the name of the adapter to use (Node only); the system's choice when left out. */
  adapter?: string;
}
