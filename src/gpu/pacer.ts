/** Wall-clock milliseconds that one submit should hold, and how many may be in flight. */
const SUBMIT_MS = 100;
const IN_FLIGHT = 3;

/**
 * Cuts work into submits of about 100 ms with at most three in flight.
 *
 * Work is in FLOPs; the rate is learnt from the waits. Long submits starve a desktop and trip
 * watchdogs.
 */
export class Pacer {
  #rate: number;
  #outstanding = 0;
  #since = 0;

  /** @param rate first guess of FLOPs per millisecond. */
  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Work that one submit should hold. */
  get submitWork(): number {
    return this.#rate * SUBMIT_MS;
  }

  /** True when the caller should wait before it submits more. */
  get full(): boolean {
    return this.#outstanding >= this.#rate * SUBMIT_MS * IN_FLIGHT;
  }

  /** Notes that work was submitted. */
  submitted(work: number): void {
    if (this.#outstanding === 0) this.#since = performance.now();
    this.#outstanding += work;
  }

  /** Notes that everything submitted is done, and learns the rate. */
  drained(): void {
    const elapsed = performance.now() - this.#since;
    if (this.#outstanding > 0 && elapsed > 5) {
      const measured = this.#outstanding / elapsed;
      // A late look makes the work seem slower than it was: trust faster figures more.
      this.#rate += (measured - this.#rate) * (measured > this.#rate ? 0.5 : 0.2);
    }
    this.#outstanding = 0;
  }
}
