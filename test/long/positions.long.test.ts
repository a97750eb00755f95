import { expect, it } from "vitest";
import { audioPositions, omniPositions, vlPositions } from "../helpers/position-cases.ts";

const omni = await omniPositions();

it.each([
  { family: "Qwen2.5-Omni", cases: [...omni.agreed, ...omni.rule] },
  { family: "Qwen2.5-VL", cases: await vlPositions() },
  { family: "Qwen2-Audio", cases: await audioPositions() },
])("$family: ids and positions of a thousand conversations", ({ cases }) => {
  expect(cases.length).toBeGreaterThanOrEqual(1000);
  for (const { name, expected, actual } of cases) expect(actual(), name).toEqual(expected);
});
