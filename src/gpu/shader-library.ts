/** WGSL functions that several kernels share, by name and variant (a tier, a storage type, or `all`). */
export const SHADER_LIBRARY: Record<string, Record<string, URL>> = {
  reduce: {
    t0: new URL("../../shaders/lib/reduce.t0.wgsl", import.meta.url),
    t1: new URL("../../shaders/lib/reduce.t1.wgsl", import.meta.url),
  },
  weight: {
    f32: new URL("../../shaders/lib/weight.f32.wgsl", import.meta.url),
    f16s: new URL("../../shaders/lib/weight.f16s.wgsl", import.meta.url),
  },
  nan: { all: new URL("../../shaders/lib/nan.wgsl", import.meta.url) },
  philox: { all: new URL("../../shaders/lib/philox.wgsl", import.meta.url) },
  sigmoid: { all: new URL("../../shaders/lib/sigmoid.wgsl", import.meta.url) },
  segments: { all: new URL("../../shaders/lib/segments.wgsl", import.meta.url) },
  "fixed-exp": { all: new URL("../../shaders/lib/fixed-exp.wgsl", import.meta.url) },
  erf: { all: new URL("../../shaders/lib/erf.wgsl", import.meta.url) },
};
