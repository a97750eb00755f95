import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Random } from "../../src/core/random.ts";
import { Kills, type Moment } from "../helpers/kills.ts";
import { TinyWorkplace } from "../helpers/tiny-run.ts";

const SEED = 7;

// Twenty random moments are in test/long/resume.long.test.ts.
describe("law 9: a run that was killed and resumed equals one that was not", () => {
  const place = new TinyWorkplace();
  const kills = new Kills(place);
  beforeAll(async () => {
    await place.make();
    const train = { max_steps: 4, logging_steps: 3 };
    const output = { trace: true, completions: true, keep_last: 1 };
    const device = { tier: inject("tier").toUpperCase() };
    await kills.whole(place.config({ train, output, device }));
  });
  afterAll(() => place.remove());

  it.each<[string, () => Moment]>([
    ["in a step", () => ({ line: /^event rollout 4$/, count: 2 })],
    ["inside a save", () => ({ line: /^save 4 rename \S*\/optimizer\.safetensors$/, count: 1 })],
    [`at a random moment of seed ${SEED}`, () => kills.draw(new Random(SEED, "order"), "work")],
  ])("%s", async (name, moment) => {
    const killed = await kills.expectSurvival(name.replaceAll(/\W+/g, "-"), [moment()]);
    expect(killed).toHaveLength(1);
  });
});
