import { assert } from "../../core/errors.ts";
import type { Device } from "../../gpu/device.ts";
import type { Pipeline } from "../../gpu/pipelines.ts";
import { evaluate, type Environment } from "../extent.ts";
import type { HostStep } from "../graph.ts";
import type { PlanBuffers } from "./buffers.ts";
import { isLive, type ReadyLaunch } from "./launches.ts";
import type { Pause } from "./lower.ts";

/** Fetched bytes after which the queue is waited for: it keeps a copy of what it has not written. */
const FETCH_BYTES = 64 * 2 ** 20;

/** Options of a replay. */
export interface RunOptions {
  /** How often the launch list is encoded one after the other (decode steps); default 1. */
  repeat?: number;
  /** Computes the host steps of the graph, by name: the rows of the input in, those of the output out. */
  host?: Readonly<Record<string, (rows: Float32Array) => Float32Array>>;
}

/** A plan's parts that a replay works with. */
export interface ReplayParts {
  device: Device;
  label: string;
  buffers: PlanBuffers;
  pauses: readonly Pause[];
}

/** Records launches into compute passes and submits them, a bounded piece of work at a time. */
class Recorder {
  readonly #device: Device;
  readonly #label: string;
  #open: { encoder: GPUCommandEncoder; pass: GPUComputePassEncoder } | undefined;
  #bound: Pipeline | undefined;
  #work = 0;

  constructor(device: Device, label: string) {
    this.#device = device;
    this.#label = label;
  }

  /** Records one launch; true when enough work has gathered for a submit. */
  record({ pipeline, group, offset, grid, work }: ReadyLaunch): boolean {
    const { pass } = (this.#open ??= this.#begin());
    if (this.#bound !== pipeline) pass.setPipeline((this.#bound = pipeline).raw);
    pass.setBindGroup(0, group, [offset]);
    pass.dispatchWorkgroups(...grid);
    this.#device.counters.dispatches++;
    this.#work += work;
    return this.#work >= this.#device.pacer.submitWork;
  }

  #begin() {
    const label = this.#label;
    const encoder = this.#device.raw.createCommandEncoder({ label });
    this.#bound = undefined;
    return { encoder, pass: encoder.beginComputePass({ label }) };
  }

  /** Submits what is recorded, if anything is. */
  submit(): void {
    if (this.#open === undefined) return;
    this.#open.pass.end();
    this.#device.submitEncoder(this.#open.encoder, this.#work);
    this.#open = undefined;
    this.#work = 0;
  }
}

/** Encodes and submits all launches, `repeat` times over; the host computes at the pauses. */
export async function replay(
  parts: ReplayParts,
  launches: readonly ReadyLaunch[],
  environment: Environment,
  { repeat = 1, host = {} }: RunOptions,
): Promise<void> {
  const { device, label, buffers, pauses } = parts;
  const recorder = new Recorder(device, label);
  let fetched = 0;
  for (let step = 0; step < repeat; step++) {
    let next = 0;
    for (const [index, launch] of launches.entries()) {
      for (let pause = pauses[next]; pause?.before === index; pause = pauses[++next]) {
        recorder.submit();
        if ("name" in pause) {
          await hostStep(parts, pause, host, environment);
          continue;
        }
        buffers.upload(pause.output, pause.values);
        fetched += pause.values.byteLength;
        if (fetched < FETCH_BYTES) continue;
        await device.idle();
        fetched = 0;
      }
      if (!isLive(launch) || !recorder.record(launch)) continue;
      recorder.submit();
      if (device.pacer.full) await device.idle();
    }
    assert(next === pauses.length, `${label}: nothing follows its last host step`);
  }
  recorder.submit();
}

/** Lets the host compute a step; the order of the queue keeps launches and writes apart. */
async function hostStep(
  { label, buffers }: ReplayParts,
  { name, input, output }: HostStep,
  host: NonNullable<RunOptions["host"]>,
  environment: Environment,
): Promise<void> {
  const compute = host[name];
  assert(compute !== undefined, `plan ${label} was not given the host step ${name}`);
  const rows = evaluate(input.rows, environment);
  const computed = compute(await buffers.download(input, name, rows));
  const wanted = rows * output.width;
  assert(computed.length === wanted, `${name} gave ${computed.length} values, not ${wanted}`);
  buffers.upload(output, computed);
}
