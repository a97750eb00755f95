// Weight storage f32: the kernel binds `weight: array<WeightWord>`, rows of k values without padding.

alias WeightWord = f32;

// Distance between rows in elements.
fn weight_stride(k: u32) -> u32 {
  return k;
}

fn load_weight(index: u32) -> f32 {
  return weight[index];
}
