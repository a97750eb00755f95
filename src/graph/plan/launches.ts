import { BUFFER_USAGE, type Device } from "../../gpu/device.ts";
import { writeParams, type Grid } from "../../gpu/kernel.ts";
import type { Pipeline } from "../../gpu/pipelines.ts";
import { evaluate, type Environment } from "../extent.ts";
import type { Dispatch } from "../graph.ts";
import type { PlanBuffers } from "./buffers.ts";
import { rowBytesOf } from "./chunks.ts";
import type { LoweredDispatch } from "./lower.ts";

/** A launch with its sizes of one replay, ready to be encoded. */
export interface ReadyLaunch {
  /** Name of the op that it is part of. */
  op: string;
  pipeline: Pipeline;
  group: GPUBindGroup;
  /** Byte offset of its parameters. */
  offset: number;
  /** Workgroups; over nothing there are none. */
  grid: Grid;
  /** Multiply-adds times two; 0 where they are not counted. */
  flops: number;
  /** Its cost in FLOPs, for cutting submits. */
  work: number;
}

/** Bytes from one launch's parameters to the next: the alignment of dynamic offsets. */
const PARAM_STRIDE = 256;
/** Minimum cost of a launch, in FLOPs, so that many small launches are cut too. */
const LAUNCH_WORK = 20_000;

/** True when a launch has workgroups to run. */
export function isLive({ grid }: ReadyLaunch): boolean {
  return grid[0] * grid[1] * grid[2] > 0;
}

/**
 * All launches of a plan with their pipelines and bind groups, and one uniform buffer that holds the
 * parameters of each.
 */
export class Launches {
  readonly #device: Device;
  readonly #arena: GPUBuffer;
  readonly #params: DataView;
  readonly #list: { op: string; dispatch: Dispatch; pipeline: Pipeline; group: GPUBindGroup }[];

  /**
   * Makes the bind groups and the buffer of parameters.
   *
   * @param pipelines one for each launch.
   */
  constructor(
    device: Device,
    label: string,
    lowered: readonly LoweredDispatch[],
    pipelines: readonly Pipeline[],
    buffers: PlanBuffers,
  ) {
    this.#device = device;
    const bytes = Math.max(1, lowered.length) * PARAM_STRIDE;
    this.#arena = device.createBuffer(`${label}/params`, bytes, BUFFER_USAGE.uniform);
    this.#params = new DataView(new ArrayBuffer(bytes));
    try {
      this.#list = lowered.map(({ op, dispatch }, index) => {
        const pipeline = pipelines[index]!;
        return { op, dispatch, pipeline, group: this.#bind(dispatch, pipeline, buffers) };
      });
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  #bind(dispatch: Dispatch, pipeline: Pipeline, buffers: PlanBuffers): GPUBindGroup {
    const bindings = Object.entries(dispatch.buffers).map(
      ([name, { tensor, chunk, firstRow = 0 }]) => {
        const { buffer, offset } = buffers.place(tensor, chunk);
        return [name, { buffer, offset: offset + firstRow * rowBytesOf(tensor) }] as const;
      },
    );
    return this.#device.pipelines.bind(pipeline, Object.fromEntries(bindings), this.#arena);
  }

  /** Computes every launch's parameters and grid for the sizes and scalars of a replay. */
  evaluate(environment: Environment): ReadyLaunch[] {
    return this.#list.map(({ op, dispatch, pipeline, group }, index) => {
      const { kernel, params } = dispatch;
      const values = Object.fromEntries(
        Object.entries(params).map(([name, value]) => [name, evaluate(value, environment)]),
      );
      const offset = index * PARAM_STRIDE;
      writeParams(kernel, this.#params, offset, values);
      const grid = kernel.grid(values, pipeline.consts);
      const flops = dispatch.flops?.(environment) ?? 0;
      return { op, pipeline, group, offset, grid, flops, work: LAUNCH_WORK + flops };
    });
  }

  /** Brings the parameters that were computed last to the GPU. */
  writeParams(): void {
    this.#device.write(this.#arena, 0, new Uint8Array(this.#params.buffer));
  }

  /** Frees the buffer of parameters. */
  destroy(): void {
    this.#device.destroyBuffer(this.#arena);
  }
}
