// Third of the sampler's three kernels: records the choice of each row at the current step. One
// thread a row. A row that was done gets the pad token and zeros; one whose token ends the text is
// done from now on (1); one that could not choose is done with the reason (2 all banned, 3 bad
// logits), which the host must look at. A step at or beyond the capacity records nothing.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  vocab: u32,
  capacity: u32,
  eosCount: u32,
}

@group(0) @binding(0) var<storage, read> choice: array<u32>;            // [rows, 8], of sample-draw
@group(0) @binding(1) var<storage, read> state: array<u32>;             // [0]: current step
@group(0) @binding(2) var<storage, read> eos: array<u32>;               // [eosCount] or more
@group(0) @binding(3) var<storage, read_write> presence: array<u32>;    // [rows, ceil(vocab / 32)] bits
@group(0) @binding(4) var<storage, read_write> done: array<u32>;        // [rows]
@group(0) @binding(5) var<storage, read_write> lengths: array<u32>;     // [rows]: tokens, with the end
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;      // [rows, capacity]
@group(0) @binding(7) var<storage, read_write> logps: array<vec4<f32>>; // [rows, capacity]
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = (wg.x + wg.y * grid.x) * WG + lane;
  let step = state[0];
  if (row >= params.rows || step >= params.capacity) {
    return;
  }
  let at = row * params.capacity + step;
  let token = choice[row * 8u];
  let outcome = choice[row * 8u + 1u];
  tokens[at] = token;
  if (outcome != 0u) {
    logps[at] = vec4<f32>(0.0);
    if (outcome > 1u) {
      done[row] = outcome;
    }
    return;
  }
  logps[at] = vec4<f32>(
    bitcast<f32>(choice[row * 8u + 2u]),
    bitcast<f32>(choice[row * 8u + 3u]),
    bitcast<f32>(choice[row * 8u + 4u]),
    bitcast<f32>(choice[row * 8u + 5u]),
  );
  lengths[row] = step + 1u;
  let word = row * ((params.vocab + 31u) / 32u) + token / 32u;
  presence[word] = presence[word] | (1u << (token % 32u));
  for (var i = 0u; i < params.eosCount; i = i + 1u) {
    if (eos[i] == token) {
      done[row] = 1u;
    }
  }
}
