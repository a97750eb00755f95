import { Random } from "../core/random.ts";

/**
 * Rows in the order in which a run consumes them, epoch after epoch: each epoch in a random order of
 * its own, or, for a curriculum, each in the order of the data set.
 *
 * A function of its arguments only, so a resumed run needs no more than the number consumed.
 */
export class RowOrder {
  readonly #length: number;
  readonly #order: (epoch: number) => readonly number[] | undefined;
  #epoch = -1;
  #rows: readonly number[] | undefined;

  /**
   * @param length number of rows.
   * @param seed of the random orders.
   * @param shuffled whether epochs are shuffled; otherwise rows come as they stand.
   */
  constructor(length: number, seed: number, shuffled: boolean) {
    this.#length = length;
    this.#order = (epoch) =>
      shuffled ? new Random(seed, "order", epoch).permutation(length) : undefined;
  }

  /** The row that is consumed as number `position` of the run. */
  at(position: number): number {
    const epoch = Math.floor(position / this.#length);
    if (epoch !== this.#epoch) {
      this.#rows = this.#order(epoch);
      this.#epoch = epoch;
    }
    const place = position % this.#length;
    return this.#rows === undefined ? place : this.#rows[place]!;
  }

  /** All rows of the run's first `count` samples, each once. */
  used(count: number): number[] {
    const rows = new Set<number>();
    // The first epoch has every row.
    const end = Math.min(count, this.#length);
    for (let position = 0; position < end; position++) rows.add(this.at(position));
    return [...rows];
  }
}
