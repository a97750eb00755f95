/** A share of the random conversations; test/long/positions.long.test.ts has all of them. */
import { expect, it } from "vitest";
import { audioPositions, omniPositions, vlPositions } from "../helpers/position-cases.ts";

const omni = await omniPositions();

it.each([
  { family: "Qwen2.5-Omni", cases: omni.agreed },
  { family: "Qwen2.5-Omni, what only the written rule gives", cases: omni.rule },
  { family: "Qwen2.5-VL", cases: await vlPositions() },
  { family: "Qwen2-Audio", cases: await audioPositions() },
])("$family: ids and positions of 250 conversations", ({ cases }) => {
  for (const { name, expected, actual } of cases.slice(0, 250)) {
    expect(actual(), name).toEqual(expected);
  }
});
