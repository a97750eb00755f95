import { describe, expect, it } from "vitest";
import { RowOrder } from "../../src/data/row-order.ts";

const first = (order: RowOrder, count: number) =>
  Array.from({ length: count }, (_, position) => order.at(position));

describe("the order of rows", () => {
  it("shuffled gives every row once an epoch, each epoch and seed in another order", () => {
    const rows = first(new RowOrder(50, 7, true), 150);
    const epochs = [rows.slice(0, 50), rows.slice(50, 100), rows.slice(100)];
    const all = Array.from({ length: 50 }, (_, row) => row);
    for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toEqual(all);
    const other = first(new RowOrder(50, 8, true), 50);
    expect(new Set([all, ...epochs, other].map(String)).size).toBe(5);
  });

  it("unshuffled is the data set's own, epoch after epoch, whatever the seed", () => {
    expect(first(new RowOrder(4, 7, false), 10)).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1]);
  });

  it.each([true, false])("is the same from any position on (shuffled %s)", (shuffled) => {
    const rows = first(new RowOrder(9, 3, shuffled), 40);
    expect(new RowOrder(9, 3, shuffled).at(31)).toBe(rows[31]);
    const back = new RowOrder(9, 3, shuffled);
    expect([back.at(31), back.at(2), back.at(12)]).toEqual([rows[31], rows[2], rows[12]]);
  });

  it("names the rows that the first samples use, each once", () => {
    expect(new RowOrder(4, 0, false).used(3)).toEqual([0, 1, 2]);
    expect(new RowOrder(4, 0, false).used(9)).toEqual([0, 1, 2, 3]);
    expect(new RowOrder(4, 0, false).used(1e12)).toEqual([0, 1, 2, 3]);
    const order = new RowOrder(20, 5, true);
    expect(order.used(6)).toEqual(first(order, 6));
  });
});
