// The keys that a workgroup's query rows need, for the attention kernels.
// The kernel declares `segments: array<vec4<u32>>` with a row's keys [x, y) and [z, w).

const NO_KEYS = vec2<u32>(0xffffffffu, 0u);

fn united(range: vec2<u32>, first: u32, last: u32) -> vec2<u32> {
  let wider = vec2<u32>(min(range.x, first), max(range.y, last));
  return select(range, wider, first < last);
}

// Two disjoint ranges (x, y), (z, w) within [first, last) that hold every key of the rows; a range
// with x >= y is empty. Uniform over the workgroup when the arguments are.
fn united_keys(first_row: u32, last_row: u32, first: u32, last: u32) -> vec4<u32> {
  var a = NO_KEYS;
  var b = NO_KEYS;
  for (var row = first_row; row <= last_row; row = row + 1u) {
    let s = segments[row];
    a = united(a, s.x, s.y);
    b = united(b, s.z, s.w);
  }
  a = vec2<u32>(max(a.x, first), min(a.y, last));
  b = vec2<u32>(max(b.x, first), min(b.y, last));
  if (a.x < b.y && b.x < a.y && a.x < a.y && b.x < b.y) {
    a = vec2<u32>(min(a.x, b.x), max(a.y, b.y));
    b = NO_KEYS;
  }
  return vec4<u32>(a, b);
}

// True when the row sees one of the keys [first, last).
fn sees_any(segment: vec4<u32>, first: u32, last: u32) -> bool {
  return max(segment.x, first) < min(segment.y, last) || max(segment.z, first) < min(segment.w, last);
}

// Unsigned wrap makes one comparison of two: key - first < last - first.
fn sees(segment: vec4<u32>, key: u32) -> bool {
  return key - segment.x < segment.y - segment.x || key - segment.z < segment.w - segment.z;
}
