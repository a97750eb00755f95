// Weight storage f32: the kernel binds `weight: array<WeightWord>` and reads four values at a time.

alias WeightWord = vec4<f32>;

fn load_weight4(index: u32) -> vec4<f32> {
  return weight[index];
}
