// One step forward: state[0] += 1. One thread.

struct Params {
  unused: u32,
}

@group(0) @binding(0) var<storage, read_write> state: array<u32>;  // [0]: current step
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  state[0] = state[0] + 1u + 0u * params.unused;
}
