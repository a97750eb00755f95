import { DeviceError } from "../core/errors.ts";
import type { Tier } from "./capabilities.ts";
import { kernelConsts, paramsBytes, type Kernel } from "./kernel.ts";
import { buildShader, locateLine, specialisationKey, type Specialisation } from "./shader.ts";

/** A compiled kernel with its explicit bind group layout. */
export interface Pipeline {
  kernel: Kernel;
  consts: Record<string, number | boolean>;
  raw: GPUComputePipeline;
  layout: GPUBindGroupLayout;
}

/** A buffer, or a range of one, bound to a kernel's name. */
export interface Binding {
  buffer: GPUBuffer;
  offset?: number;
  size?: number;
}

/** Counts of what a pipeline cache has made. */
export interface PipelineCounters {
  pipelines: number;
  bindGroups: number;
}

/** Compiles each (kernel, specialisation) once per device. */
export class PipelineCache {
  readonly #raw: GPUDevice;
  readonly #tier: Tier;
  readonly #counters: PipelineCounters;
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  /** @param counters counted up with every pipeline and bind group. */
  constructor(raw: GPUDevice, tier: Tier, counters: PipelineCounters) {
    this.#raw = raw;
    this.#tier = tier;
    this.#counters = counters;
  }

  /**
   * The pipeline of a kernel under a specialisation; compiled at the first call.
   *
   * @throws {DeviceError} `shader-error` with the compiler's messages and the lines they point at.
   */
  get(kernel: Kernel, specialisation: Specialisation = {}): Promise<Pipeline> {
    const key = `${kernel.name}|${specialisationKey(specialisation)}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compile(kernel, specialisation, key);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /** A bind group of a kernel's buffers and the uniform arena. */
  bind(pipeline: Pipeline, buffers: Record<string, Binding>, arena: GPUBuffer): GPUBindGroup {
    const names = Object.keys(pipeline.kernel.buffers);
    const entries: GPUBindGroupEntry[] = names.map((name, binding) => {
      const bound = buffers[name];
      if (bound === undefined) {
        throw new Error(`kernel ${pipeline.kernel.name}: buffer ${name} is not bound`);
      }
      return { binding, resource: bound };
    });
    entries.push({
      binding: names.length,
      resource: { buffer: arena, offset: 0, size: paramsBytes(pipeline.kernel) },
    });
    this.#counters.bindGroups++;
    return this.#raw.createBindGroup({
      label: pipeline.kernel.name,
      layout: pipeline.layout,
      entries,
    });
  }

  #layout(kernel: Kernel): GPUBindGroupLayout {
    const accesses = Object.values(kernel.buffers);
    const key = `${accesses.map((access) => (access === "read" ? "r" : "w")).join("")}${paramsBytes(kernel)}`;
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      const entries: GPUBindGroupLayoutEntry[] = accesses.map((access, binding) => ({
        binding,
        visibility: 4,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      }));
      entries.push({
        binding: accesses.length,
        visibility: 4,
        buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: paramsBytes(kernel) },
      });
      layout = this.#raw.createBindGroupLayout({ label: key, entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  async #compile(kernel: Kernel, specialisation: Specialisation, key: string): Promise<Pipeline> {
    const raw = this.#raw;
    const code = await buildShader(kernel.shader, this.#tier, specialisation);
    // A shader that fails is this call's error; without the scope it would also end the device.
    raw.pushErrorScope("validation");
    const module = raw.createShaderModule({ label: key, code });
    const scope = raw.popErrorScope();
    const layout = this.#layout(kernel);
    try {
      const pipeline = await raw.createComputePipelineAsync({
        label: key,
        layout: raw.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      });
      this.#counters.pipelines++;
      return { kernel, consts: kernelConsts(kernel, specialisation.consts), raw: pipeline, layout };
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const lines = code.split("\n");
      const report = messages.map(({ lineNum, linePos, message }) => {
        const { file, line } = locateLine(lines, lineNum, `${kernel.name}.wgsl`);
        return `${file}:${line}:${linePos} ${message}\n    ${lines[lineNum - 1] ?? ""}`;
      });
      const reason = report.length > 0 ? report : [cause instanceof Error ? cause.message : ""];
      throw new DeviceError("shader-error", [`cannot compile ${key}`, ...reason].join("\n"), {
        cause,
      });
    } finally {
      await scope;
    }
  }
}
