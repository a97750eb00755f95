// Weight storage f32: the kernel binds `weight: array<WeightWord>`, rows of k values without
// padding.

alias WeightWord = f32;

// Distance between rows in elements.
fn weight_stride(k: u32) -> u32 {
  return k;
}

fn load_weight(index: u32) -> f32 {
  return weight[index];
}

// Four values of a row; `index` is a multiple of 4 from the row's start.
fn load_weight4(index: u32) -> vec4<f32> {
  return vec4<f32>(weight[index], weight[index + 1u], weight[index + 2u], weight[index + 3u]);
}
