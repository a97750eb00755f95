import { assert, ShapeError } from "../core/errors.ts";
import type { Device } from "../gpu/device.ts";
import { writeParams, type Grid } from "../gpu/kernel.ts";
import type { Pipeline } from "../gpu/pipelines.ts";
import { capacityRows, chunksOf, placeOf, rowBytesOf, type Capacity } from "./chunks.ts";
import { chooseTunables } from "../kernels/choose.ts";
import { evaluate, type Environment } from "./extent.ts";
import {
  rootOf,
  tensorsOf,
  type Dispatch,
  type Fetch,
  type Graph,
  type HostStep,
  type Lowering,
  type Tensor,
} from "./graph.ts";
import { planMemory, type MemoryPlan } from "./memory.ts";
import { timeLaunches, type PlanProfile } from "./profile.ts";
import type { HostArray } from "./storage.ts";

/** Exact figures of one plan: what it holds and what one replay at given sizes does. */
export interface PlanReport {
  dispatches: number;
  flops: number;
  /** Bytes of shared activation buffers, and what they would be without sharing. */
  activationBytes: number;
  unsharedBytes: number;
  inputBytes: number;
}

/** One launch, ready to be encoded. */
interface Launch {
  op: string;
  dispatch: Dispatch;
  pipeline: Pipeline;
  group: GPUBindGroup;
}

/** A step of the host, and the launches that come before it. */
type Pause = (HostStep | Fetch) & { before: number };

const PARAM_STRIDE = 256;
/** Work that one launch costs at least, in FLOPs, so that many small launches are cut too. */
const LAUNCH_WORK = 20_000;
/** Fetched bytes after which the queue is waited for: it keeps a copy of what it has not written. */
const FETCH_BYTES = 64 * 2 ** 20;

/** Options of a replay. */
export interface RunOptions {
  /** How often the launch list is encoded one after the other (decode steps); default 1. */
  repeat?: number;
  /** Computes the host steps of the graph, by name: the rows of the input in, those of the output out. */
  host?: Readonly<Record<string, (rows: Float32Array) => Float32Array>>;
}

/**
 * A graph lowered to a flat list of launches over fixed buffers: replayed, never rebuilt.
 *
 * Keyed by capacity only: a replay names the actual sizes, from which parameters and grids are
 * computed. Nothing is created on the GPU after `compile`.
 */
export class Plan {
  readonly label: string;
  readonly #device: Device;
  readonly #graph: Graph;
  readonly #capacity: Capacity;
  readonly #memory: MemoryPlan;
  readonly #buffers: Map<Tensor, readonly GPUBuffer[]>;
  readonly #owned: GPUBuffer[];
  readonly #launches: Launch[] = [];
  readonly #pauses: readonly Pause[];
  /** Rows that the host has written of each input. */
  readonly #written = new Map<Tensor, number>();
  #running = false;
  readonly #arena: GPUBuffer;
  readonly #params: DataView;

  /**
   * Plans memory, compiles every pipeline and makes every buffer and bind group.
   *
   * @param capacity the largest value of every extent of the graph.
   */
  static async compile(
    device: Device,
    graph: Graph,
    options: { label: string; capacity: Capacity },
  ): Promise<Plan> {
    const profile = device.capabilities;
    const lowered: { op: string; dispatch: Dispatch }[] = [];
    const pauses: Pause[] = [];
    for (const node of graph.nodes) {
      const known = new Set([...tensorsOf(node.inputs), ...tensorsOf(node.outputs)].map(rootOf));
      const to: Lowering = {
        profile,
        chunks: (tensor) => chunksOf(tensor, options.capacity, profile.chunkBytes),
        dispatch(dispatch) {
          // Memory is planned by the node's tensors: another one might be somebody else's by now.
          for (const { tensor } of Object.values(dispatch.buffers)) {
            assert(
              known.has(rootOf(tensor)),
              `${node.op.name} binds ${tensor.name}, which is no tensor of its node`,
            );
          }
          const consts = { ...chooseTunables(profile, dispatch.kernel), ...dispatch.consts };
          lowered.push({ op: node.op.name, dispatch: { ...dispatch, consts } });
        },
        host: (step) => void pauses.push({ ...step, before: lowered.length }),
        fetch: (step) => void pauses.push({ ...step, before: lowered.length }),
      };
      node.op.lower(node.inputs, node.outputs, to);
    }
    const pipelines = await Promise.all(
      lowered.map(({ dispatch }) => device.pipelines.get(dispatch.kernel, dispatch)),
    );
    const plan = new Plan(device, graph, options, { launches: lowered.length, pauses });
    try {
      lowered.forEach(({ op, dispatch }, index) => plan.#bind(op, dispatch, pipelines[index]!));
    } catch (error) {
      plan.destroy();
      throw error;
    }
    return plan;
  }

  private constructor(
    device: Device,
    graph: Graph,
    { label, capacity }: { label: string; capacity: Capacity },
    { launches, pauses }: { launches: number; pauses: readonly Pause[] },
  ) {
    const { chunkBytes } = device.capabilities;
    this.label = label;
    this.#device = device;
    this.#graph = graph;
    this.#capacity = capacity;
    this.#pauses = pauses;
    this.#memory = planMemory(graph, capacity, chunkBytes);
    this.#buffers = new Map();
    const slots = new Map(
      this.#memory.slots.map((slot, i) => [
        slot,
        device.createBuffer(`${label}/slot${i}`, slot.bytes),
      ]),
    );
    for (const [tensor, places] of this.#memory.places) {
      this.#buffers.set(
        tensor,
        places.map((slot) => slots.get(slot)!),
      );
    }
    this.#owned = [...slots.values()];
    for (const tensor of graph.inputs.values()) {
      const buffers = chunksOf(tensor, capacity, chunkBytes).map((chunk) =>
        device.createBuffer(`${label}/${tensor.name}`, chunk.capacity * rowBytesOf(tensor)),
      );
      this.#buffers.set(tensor, buffers);
      this.#owned.push(...buffers);
    }
    const arenaBytes = Math.max(1, launches) * PARAM_STRIDE;
    this.#arena = device.createBuffer(`${label}/params`, arenaBytes, 0x40);
    this.#owned.push(this.#arena);
    this.#params = new DataView(new ArrayBuffer(arenaBytes));
  }

  /**
   * Copies host data into an input, from row `first` on.
   *
   * @throws {ShapeError} `unknown-input`, or `input-too-large` for whole rows beyond the capacity.
   */
  write(name: string, data: HostArray, first = 0): void {
    this.#assertResting();
    const tensor = this.#graph.inputs.get(name);
    if (tensor === undefined) {
      throw new ShapeError("unknown-input", `plan ${this.label} has no input ${name}.`);
    }
    const rows = data.length / tensor.width;
    const limit = capacityRows(tensor, this.#capacity);
    if (!Number.isInteger(rows) || first + rows > limit) {
      throw new ShapeError(
        "input-too-large",
        `${this.label}: input ${name} holds ${limit} rows of ${tensor.width}; ${data.length} values were given at row ${first}.`,
      );
    }
    const before = first === 0 ? 0 : (this.#written.get(tensor) ?? 0);
    this.#written.set(tensor, Math.max(before, first + rows));
    this.#upload(tensor, data, first);
  }

  #upload(tensor: Tensor, data: HostArray, first: number): void {
    const rows = data.length / tensor.width;
    const { chunkBytes } = this.#device.capabilities;
    chunksOf(tensor, this.#capacity, chunkBytes).forEach((chunk, index) => {
      const from = Math.max(first, chunk.first);
      const to = Math.min(first + rows, chunk.first + chunk.capacity);
      if (from >= to) return;
      const part = data.subarray((from - first) * tensor.width, (to - first) * tensor.width);
      const offset = (from - chunk.first) * rowBytesOf(tensor);
      this.#device.write(this.#buffers.get(rootOf(tensor))![index]!, offset, part);
    });
  }

  /**
   * Copies host data into all inputs; data for inputs that the plan lacks are left alone.
   *
   * @throws {ShapeError} `missing-input` when data of an input are absent.
   */
  writeAll(inputs: Readonly<Record<string, HostArray>>): void {
    for (const name of this.#graph.inputs.keys()) {
      const data = inputs[name];
      if (data === undefined) {
        throw new ShapeError("missing-input", `${this.label}: input ${name} was not given.`, {
          hint: `Given were ${Object.keys(inputs).join(", ") || "none"}.`,
        });
      }
      this.write(name, data);
    }
  }

  /**
   * Encodes and submits the launches for the given sizes; submits are cut and paced.
   *
   * @throws {ShapeError} `over-capacity`, `missing-size`, `missing-scalar`, or `input-too-short` when
   *   fewer rows were written than the sizes ask for.
   */
  async run(
    sizes: Environment["sizes"],
    scalars: Environment["scalars"] = {},
    options: RunOptions = {},
  ): Promise<void> {
    const environment = { sizes, scalars };
    const grids = this.#prepare(environment);
    this.#running = true;
    try {
      await this.#encode(grids, environment, options);
    } finally {
      this.#running = false;
    }
  }

  /**
   * Replays once with the clock of the GPU around every launch: slower than `run`, the same bits.
   *
   * Host steps are left out: what they gave in the last replay stands.
   *
   * @throws {DeviceError} `no-timestamps` on a device that has no clock, and whatever `run` throws.
   */
  async profile(
    sizes: Environment["sizes"],
    scalars: Environment["scalars"] = {},
  ): Promise<PlanProfile> {
    const environment = { sizes, scalars };
    const grids = this.#prepare(environment);
    const timed = this.#launches.map(({ op, dispatch, pipeline, group }, index) => {
      const flops = dispatch.flops?.(environment) ?? 0;
      const offset = index * PARAM_STRIDE;
      return { op, pipeline, group, offset, grid: grids[index]!, flops, work: LAUNCH_WORK + flops };
    });
    this.#running = true;
    try {
      return await timeLaunches(this.#device, this.label, timed);
    } finally {
      this.#running = false;
    }
  }

  /** Checks that a replay is possible, writes its parameters and returns the grids. */
  #prepare(environment: Environment): Grid[] {
    this.#assertResting();
    for (const [name, size] of Object.entries(environment.sizes)) {
      const limit = this.#capacity[name];
      if (limit !== undefined && size > limit) {
        throw new ShapeError(
          "over-capacity",
          `plan ${this.label} was made for ${name} <= ${limit}; ${size} was asked for.`,
        );
      }
    }
    for (const [tensor, rows] of this.#written) {
      const needed = evaluate(tensor.rows, environment);
      if (rows >= needed) continue;
      throw new ShapeError(
        "input-too-short",
        `${this.label}: input ${tensor.name} needs ${needed} rows for this replay; ${rows} were given.`,
      );
    }
    const grids = this.#evaluate(environment);
    this.#device.write(this.#arena, 0, new Uint8Array(this.#params.buffer));
    return grids;
  }

  /** Encodes and submits all launches, `repeat` times over. */
  async #encode(
    grids: readonly Grid[],
    environment: Environment,
    { repeat = 1, host = {} }: RunOptions,
  ): Promise<void> {
    const { pacer } = this.#device;
    let encoder: GPUCommandEncoder | undefined;
    let pass: GPUComputePassEncoder | undefined;
    let work = 0;
    let fetched = 0;
    const flush = () => {
      if (pass === undefined) return;
      pass.end();
      this.#device.submitEncoder(encoder!, work);
      pass = undefined;
      work = 0;
    };
    let bound: Pipeline | undefined;
    for (let step = 0; step < repeat; step++) {
      let pause = 0;
      for (const [index, launch] of this.#launches.entries()) {
        for (; this.#pauses[pause]?.before === index; pause++) {
          flush();
          const step = this.#pauses[pause]!;
          if ("name" in step) {
            await this.#hostStep(step, host, environment);
            continue;
          }
          this.#upload(step.output, step.values, 0);
          fetched += step.values.byteLength;
          if (fetched < FETCH_BYTES) continue;
          await this.#device.idle();
          fetched = 0;
        }
        const grid = grids[index]!;
        if (grid[0] * grid[1] * grid[2] === 0) continue;
        if (pass === undefined) {
          encoder = this.#device.raw.createCommandEncoder({ label: this.label });
          pass = encoder.beginComputePass({ label: this.label });
          bound = undefined;
        }
        if (bound !== launch.pipeline) pass.setPipeline((bound = launch.pipeline).raw);
        pass.setBindGroup(0, launch.group, [index * PARAM_STRIDE]);
        pass.dispatchWorkgroups(...grid);
        this.#device.counters.dispatches++;
        work += LAUNCH_WORK + (launch.dispatch.flops?.(environment) ?? 0);
        if (work >= pacer.submitWork) {
          flush();
          if (pacer.full) await this.#device.idle();
        }
      }
      assert(pause === this.#pauses.length, `${this.label}: nothing follows its last host step`);
    }
    flush();
  }

  /** Lets the host compute a step; the order of the queue keeps launches and writes apart. */
  async #hostStep(
    { name, input, output }: HostStep,
    host: NonNullable<RunOptions["host"]>,
    environment: Environment,
  ): Promise<void> {
    const compute = host[name];
    assert(compute !== undefined, `plan ${this.label} was not given the host step ${name}`);
    const rows = evaluate(input.rows, environment);
    const computed = compute(await this.#download(input, name, rows));
    const wanted = rows * output.width;
    assert(computed.length === wanted, `${name} gave ${computed.length} values, not ${wanted}`);
    this.#upload(output, computed, 0);
  }

  /** Reads a kept tensor back: its first `rows` rows as float32. */
  async read(name: string, rows?: number): Promise<Float32Array> {
    const tensor = this.#graph.kept.get(name);
    assert(tensor !== undefined, `plan ${this.label} keeps no tensor ${name}`);
    return this.#download(tensor, name, rows);
  }

  async #download(tensor: Tensor, name: string, rows?: number): Promise<Float32Array> {
    const limit = capacityRows(tensor, this.#capacity);
    const count = rows ?? limit;
    if (count > limit) {
      throw new ShapeError(
        "read-too-far",
        `${this.label}: tensor ${name} holds ${limit} rows; ${count} were asked for.`,
      );
    }
    const result = new Float32Array(count * tensor.width);
    const { chunkBytes } = this.#device.capabilities;
    for (const chunk of chunksOf(tensor, this.#capacity, chunkBytes)) {
      const take = Math.min(chunk.capacity, count - chunk.first);
      if (take <= 0) break;
      const bytes = take * tensor.width * 4;
      const { buffer, offset } = this.#place(tensor, chunk.index);
      const part = await this.#device.readF32(buffer!, offset, bytes / 4);
      result.set(part, chunk.first * tensor.width);
    }
    return result;
  }

  /** Counts what one replay at these sizes costs, exactly. */
  report(sizes: Environment["sizes"], scalars: Environment["scalars"] = {}): PlanReport {
    const environment = { sizes, scalars };
    const live = this.#evaluate(environment).map((grid) => grid[0] * grid[1] * grid[2] > 0);
    const launches = this.#launches.filter((_, index) => live[index]);
    const inputs = [...this.#graph.inputs.values()];
    return {
      dispatches: launches.length,
      flops: launches.reduce((sum, { dispatch }) => sum + (dispatch.flops?.(environment) ?? 0), 0),
      activationBytes: this.#memory.bytes,
      unsharedBytes: this.#memory.unsharedBytes,
      inputBytes: inputs.reduce(
        (sum, tensor) => sum + capacityRows(tensor, this.#capacity) * rowBytesOf(tensor),
        0,
      ),
    };
  }

  /** Frees the plan's buffers; parameters and caches stay. */
  destroy(): void {
    for (const buffer of this.#owned.splice(0)) this.#device.destroyBuffer(buffer);
  }

  /** Parameters and inputs of a replay that waits between submits must stay what they are. */
  #assertResting(): void {
    assert(!this.#running, `plan ${this.label} is still being replayed: await its run first`);
  }

  /** Writes every launch's parameters for an environment and returns the grids. */
  #evaluate(environment: Environment): Grid[] {
    return this.#launches.map(({ dispatch, pipeline }, index) => {
      const values: Record<string, number> = {};
      for (const name in dispatch.params)
        values[name] = evaluate(dispatch.params[name]!, environment);
      writeParams(dispatch.kernel, this.#params, index * PARAM_STRIDE, values);
      return dispatch.kernel.grid(values, pipeline.consts);
    });
  }

  /** The buffer that holds a chunk of a tensor, and the byte at which the chunk begins. */
  #place(tensor: Tensor, chunk: number): { buffer: GPUBuffer | undefined; offset: number } {
    const root = rootOf(tensor);
    if (root.storage === undefined) return { buffer: this.#buffers.get(root)?.[chunk], offset: 0 };
    const { chunkBytes } = this.#device.capabilities;
    const found = chunksOf(tensor, this.#capacity, chunkBytes)[chunk];
    return found === undefined
      ? { buffer: undefined, offset: 0 }
      : placeOf(root.storage, tensor, found);
  }

  #bind(op: string, dispatch: Dispatch, pipeline: Pipeline): void {
    const bindings = Object.entries(dispatch.buffers).map(
      ([name, { tensor, chunk, firstRow = 0 }]) => {
        const { buffer, offset } = this.#place(tensor, chunk);
        assert(buffer !== undefined, `${op}: tensor ${tensor.name} has no chunk ${chunk}`);
        return [name, { buffer, offset: offset + firstRow * rowBytesOf(tensor) }] as const;
      },
    );
    const group = this.#device.pipelines.bind(pipeline, Object.fromEntries(bindings), this.#arena);
    this.#launches.push({ op, dispatch, pipeline, group });
  }
}
