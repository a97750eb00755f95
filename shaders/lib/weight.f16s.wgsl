// Weight storage f16s: pairs of f16 in a u32; the power-of-two scale is undone by the kernel.
// The kernel binds `weight: array<WeightWord>` and reads four values at a time.

alias WeightWord = vec2<u32>;

fn load_weight4(index: u32) -> vec4<f32> {
  let word = weight[index];
  return vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
}
