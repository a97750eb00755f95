// Weight storage f16s: pairs of f16 in a u32, rows padded to a multiple of 4 values. The kernel
// binds `weight: array<WeightWord>` and undoes the power-of-two scale by its parameter `scale`.

alias WeightWord = u32;

// Distance between rows in elements.
fn weight_stride(k: u32) -> u32 {
  return (k + 3u) & 0xfffffffcu;
}

fn load_weight(index: u32) -> f32 {
  return unpack2x16float(weight[index >> 1u])[index & 1u];
}

// Four values of a row; `index` is a multiple of 4 from the row's start.
fn load_weight4(index: u32) -> vec4<f32> {
  let word = index >> 1u;
  return vec4<f32>(unpack2x16float(weight[word]), unpack2x16float(weight[word + 1u]));
}
