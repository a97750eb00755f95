/*
 * How a recorded graph becomes command buffers.
 *
 * A model is a function that adds ops to a `Graph`; `differentiate` adds the ops of the backward
 * pass, and `recompute` may add some of the forward pass again. Up to here nothing has run: a graph is
 * a list of ops over tensors, and the first dimension of most tensors is an extent (tokens, rows,
 * frames), a size that has a name and no value yet.
 *
 * `Plan.compile` decides everything that can be decided before the sizes are known, for the largest
 * sizes that a replay may have (`capacity`):
 *
 *   1. lower.ts asks each op for its launches: a kernel, the buffers that it binds, its parameters as
 *      formulas over the sizes. The device's profile has its say here, in kernels and tunables.
 *   2. chunks.ts cuts tensors that exceed one binding into chunks of rows. All tensors over one extent
 *      are cut at the same rows, so that an op goes through them chunk by chunk.
 *   3. memory.ts lets tensors that are never needed at the same time share a buffer.
 *   4. buffers.ts makes the buffers, launches.ts the pipelines' bind groups and one uniform buffer with
 *      a place for the parameters of every launch.
 *
 * `Plan.run` replays that with the sizes of one batch. Launches.evaluate computes parameters and grids;
 * a launch over no rows gets an empty grid and is left out. replay.ts records the launches into compute
 * passes and submits them in pieces of bounded work, so that the queue never holds more than a moment's
 * worth and a display stays usable; between two pieces the host may compute a step of its own, such as
 * the loss. A replay makes nothing on the GPU: what differs from batch to batch is the contents of the
 * inputs and of the uniform buffer.
 *
 * A batch that exceeds the capacity needs another plan; `GrowingPlan` makes it and keeps the newest.
 */
import { assert, ShapeError } from "../../core/errors.ts";
import type { Device } from "../../gpu/device.ts";
import { evaluate, type Environment } from "../extent.ts";
import type { Graph, Tensor } from "../graph.ts";
import type { HostArray } from "../storage.ts";
import { PlanBuffers } from "./buffers.ts";
import { rowBytesOf, type Capacity } from "./chunks.ts";
import { isLive, Launches, type ReadyLaunch } from "./launches.ts";
import { lowerGraph, type Pause } from "./lower.ts";
import { timeLaunches, type PlanProfile } from "./profile.ts";
import { replay, type RunOptions } from "./replay.ts";

/** Exact figures of one plan: what it holds and what one replay at given sizes does. */
export interface PlanReport {
  dispatches: number;
  flops: number;
  /** Bytes of shared activation buffers, and what they would be without sharing. */
  activationBytes: number;
  unsharedBytes: number;
  inputBytes: number;
}

/** A plan's name, and the largest value of every extent of its graph. */
interface PlanOptions {
  label: string;
  capacity: Capacity;
}

/** The parts of a plan. */
interface PlanParts {
  buffers: PlanBuffers;
  launches: Launches;
  pauses: readonly Pause[];
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
  readonly #buffers: PlanBuffers;
  readonly #launches: Launches;
  readonly #pauses: readonly Pause[];
  /** Rows that the host has written of each input. */
  readonly #written = new Map<Tensor, number>();
  #running = false;

  /** Plans memory, compiles every pipeline and makes every buffer and bind group. */
  static async compile(device: Device, graph: Graph, options: PlanOptions): Promise<Plan> {
    const { label, capacity } = options;
    const lowered = lowerGraph(graph, device.capabilities, capacity);
    const pipelines = await Promise.all(
      lowered.launches.map(({ dispatch }) => device.pipelines.get(dispatch.kernel, dispatch)),
    );
    const buffers = new PlanBuffers(device, graph, label, capacity);
    try {
      const launches = new Launches(device, label, lowered.launches, pipelines, buffers);
      const { pauses } = lowered;
      return new Plan(device, graph, options, { buffers, launches, pauses });
    } catch (error) {
      buffers.destroy();
      throw error;
    }
  }

  private constructor(
    device: Device,
    graph: Graph,
    { label, capacity }: PlanOptions,
    { buffers, launches, pauses }: PlanParts,
  ) {
    this.label = label;
    this.#device = device;
    this.#graph = graph;
    this.#capacity = capacity;
    this.#buffers = buffers;
    this.#launches = launches;
    this.#pauses = pauses;
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
    const limit = this.#buffers.rows(tensor);
    if (!Number.isInteger(rows) || first + rows > limit) {
      throw new ShapeError(
        "input-too-large",
        `${this.label}: input ${name} holds ${limit} rows of ${tensor.width}; ${data.length} values were given at row ${first}.`,
      );
    }
    const before = first === 0 ? 0 : (this.#written.get(tensor) ?? 0);
    this.#written.set(tensor, Math.max(before, first + rows));
    this.#buffers.upload(tensor, data, first);
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
    const launches = this.#prepare(environment);
    const parts = {
      ...{ device: this.#device, label: this.label },
      ...{ buffers: this.#buffers, pauses: this.#pauses },
    };
    await this.#while(() => replay(parts, launches, environment, options));
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
    const launches = this.#prepare({ sizes, scalars });
    return this.#while(() => timeLaunches(this.#device, this.label, launches));
  }

  /** Keeps the plan from being changed while a replay waits between submits. */
  async #while<T>(work: () => Promise<T>): Promise<T> {
    this.#running = true;
    try {
      return await work();
    } finally {
      this.#running = false;
    }
  }

  /** Checks that a replay is possible, writes its parameters and returns its launches. */
  #prepare(environment: Environment): ReadyLaunch[] {
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
    const launches = this.#launches.evaluate(environment);
    this.#launches.writeParams();
    return launches;
  }

  /** Reads a kept tensor back: its first `rows` rows as float32. */
  async read(name: string, rows?: number): Promise<Float32Array> {
    const tensor = this.#graph.kept.get(name);
    assert(tensor !== undefined, `plan ${this.label} keeps no tensor ${name}`);
    return this.#buffers.download(tensor, name, rows);
  }

  /** Counts exactly what one replay at these sizes costs. */
  report(sizes: Environment["sizes"], scalars: Environment["scalars"] = {}): PlanReport {
    const launches = this.#launches.evaluate({ sizes, scalars }).filter(isLive);
    const { memory } = this.#buffers;
    const inputs = [...this.#graph.inputs.values()];
    return {
      dispatches: launches.length,
      flops: launches.reduce((sum, { flops }) => sum + flops, 0),
      activationBytes: memory.bytes,
      unsharedBytes: memory.unsharedBytes,
      inputBytes: inputs.reduce(
        (sum, tensor) => sum + this.#buffers.rows(tensor) * rowBytesOf(tensor),
        0,
      ),
    };
  }

  /** Frees the plan's buffers; parameters and caches stay. */
  destroy(): void {
    this.#buffers.destroy();
    this.#launches.destroy();
  }

  /** Parameters and inputs of a replay that waits between submits must stay what they are. */
  #assertResting(): void {
    assert(!this.#running, `plan ${this.label} is still being replayed: await its run first`);
  }
}
