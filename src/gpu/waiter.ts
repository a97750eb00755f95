/** Sleeps through most of a predicted wait, so that polling for its end is short. */
export class Waiter {
  /** Sleeps for 85 % of `predictedMs`, and not at all below 5 ms. */
  async sleep(predictedMs: number): Promise<void> {
    const rest = predictedMs * 0.85;
    if (rest >= 5) await new Promise((resolve) => setTimeout(resolve, rest));
  }
}
