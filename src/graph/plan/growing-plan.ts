import type { Device } from "../../gpu/device.ts";
import type { Capacity } from "./chunks.ts";
import type { Graph } from "../graph.ts";
import { Plan, type PlanReport } from "./plan.ts";
import type { RunOptions } from "./replay.ts";
import type { HostArray } from "../storage.ts";

/** Everything of one replay. */
export interface Replay {
  inputs: Readonly<Record<string, HostArray>>;
  sizes: Readonly<Record<string, number>>;
  scalars: Readonly<Record<string, number>>;
}

/**
 * A plan that is made for the first replay and made anew when one needs more room.
 *
 * Rows of one data set differ in length; a run that starts with its largest rows, or reserves room
 * for them, plans once. Counted by `plans`, so that a test can hold it at one.
 */
export class GrowingPlan {
  /** How often a plan was made. */
  plans = 0;
  readonly #device: Device;
  readonly #label: string;
  readonly #trace: () => Graph;
  #plan: Plan | undefined;
  #capacity: Record<string, number> = {};

  /** @param trace builds the graph; called once per plan. */
  constructor(device: Device, label: string, trace: () => Graph) {
    this.#device = device;
    this.#label = label;
    this.#trace = trace;
  }

  /** Makes sure that the plan holds at least these sizes. */
  async reserve(sizes: Capacity): Promise<Plan> {
    const fits = Object.entries(sizes).every(
      ([name, size]) => size <= (this.#capacity[name] ?? -1),
    );
    if (this.#plan !== undefined && fits) return this.#plan;
    for (const [name, size] of Object.entries(sizes)) {
      this.#capacity[name] = Math.max(this.#capacity[name] ?? 0, size);
    }
    this.#plan?.destroy();
    // Stays so when the new plan cannot be made: its buffers are gone.
    this.#plan = undefined;
    this.#plan = await Plan.compile(this.#device, this.#trace(), {
      label: this.#label,
      capacity: this.#capacity,
    });
    this.plans++;
    return this.#plan;
  }

  /** Writes the inputs and replays. */
  async run({ inputs, sizes, scalars }: Replay, options?: RunOptions): Promise<Plan> {
    const plan = await this.reserve(sizes);
    plan.writeAll(inputs);
    await plan.run(sizes, scalars, options);
    return plan;
  }

  /** Reads a kept tensor of the last replay. */
  read(name: string, rows?: number): Promise<Float32Array> {
    if (this.#plan === undefined) throw new Error(`plan ${this.#label} has not run`);
    return this.#plan.read(name, rows);
  }

  /** Counters of a replay at these sizes. */
  report(sizes: Replay["sizes"], scalars: Replay["scalars"]): PlanReport {
    if (this.#plan === undefined) throw new Error(`plan ${this.#label} has not run`);
    return this.#plan.report(sizes, scalars);
  }

  /** Frees the plan's buffers. */
  destroy(): void {
    this.#plan?.destroy();
    this.#plan = undefined;
    this.#capacity = {};
  }
}
