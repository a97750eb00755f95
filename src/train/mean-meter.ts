/** Means of what several updates measured, each over those that did. */
export class MeanMeter {
  readonly #values = new Map<string, number[]>();

  /** Adds the metrics of an update; NaN is left out but where it is a fault: loss, gradient norm. */
  add(metrics: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(metrics)) {
      const values = this.#values.get(name) ?? [];
      this.#values.set(name, values);
      if (!Number.isNaN(value) || name === "loss" || name === "grad_norm") values.push(value);
    }
  }

  /** The mean of each, NaN of those that no update measured. */
  means(): Record<string, number> {
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    return Object.fromEntries([...this.#values].map(([name, values]) => [name, mean(values)]));
  }
}
