// Run in a child process, because a broken driver ends the process that loads it.
// Prints one line of JSON: what the adapter is called, whether it is software, its features,
// and whether a compute shader really ran on it.
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
// Referenced for as long as the process lives: Dawn aborts when this object is collected.
globalThis.gpuInstance = create([
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
]);

const code = `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  y[id.x] = id.x * 3u + 1u;
}`;

/** Runs the shader above and says whether every one of its 64 numbers came back. */
async function computes(device) {
  const usage = GPUBufferUsage;
  const size = 256;
  const result = device.createBuffer({ size, usage: usage.STORAGE | usage.COPY_SRC });
  const copy = device.createBuffer({ size, usage: usage.MAP_READ | usage.COPY_DST });
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
  const layout = pipeline.getBindGroupLayout(0);
  const entries = [{ binding: 0, resource: { buffer: result } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(result, 0, copy, 0, size);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(GPUMapMode.READ);
  return new Uint32Array(copy.getMappedRange()).every((value, i) => value === i * 3 + 1);
}

const adapter = await globalThis.gpuInstance.requestAdapter({
  powerPreference: "high-performance",
});
const report = { found: adapter !== null, works: false };
if (adapter !== null) {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  report.info = { vendor, architecture, device, description, isFallbackAdapter };
  report.features = [...adapter.features];
  report.works = await computes(await adapter.requestDevice());
}
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
