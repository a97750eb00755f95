import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/core/random.ts";
import { insideSave, Kills, type Session } from "../helpers/kills.ts";
import { TinyWorkplace } from "../helpers/tiny-run.ts";

const SEED = 2026;
const KILLS = 20;
const IN_SAVES = 8;
/** The kinds of moments, in turn. */
const KINDS = ["save", "work", "save", "time", "save", "submit", "save", "work"] as const;

/** The settings that leave the most files, and old checkpoints to delete. */
const TRAIN = { max_steps: 6, eval_steps: 3, logging_steps: 3, num_iterations: 2 };
const OUTPUT = {
  ...{ keep_last: 1, keep_best: "reward", trace: true, completions: true, metric_aliases: true },
  report_to: ["wandb", "trackio"],
};

describe("law 9: a run that was killed and resumed equals one that was not", () => {
  const place = new TinyWorkplace();
  const kills = new Kills(place);
  beforeAll(async () => {
    await place.make();
    await kills.whole(place.config({ train: TRAIN, output: OUTPUT }));
  });
  afterAll(() => place.remove());

  it.each<[string, RegExp]>([
    ["in a step, two after a checkpoint", /^event rollout 4$/],
    ["while a checkpoint's files are written", /^save 4 rename \S*\/optimizer\.safetensors$/],
    ["before a whole checkpoint has its name", /^save 4 rename \S*\/checkpoint-00004$/],
    ["just after it has its name", /^save 4 renamed \S*\/checkpoint-00004$/],
    ["while an old checkpoint is deleted", /^save 6 renamed \S*\/checkpoint-00004\.tmp$/],
    ["while the final model is written", /^rename \S*\/model\/model\.safetensors$/],
  ])("%s", async (name, line) => {
    const killed = await kills.expectSurvival(name.replaceAll(/\W+/g, "-"), [{ line, count: 1 }]);
    expect(killed).toHaveLength(1);
  });

  it(`${KILLS} random moments, ${IN_SAVES} or more of them in saves, of seed ${SEED}`, async () => {
    const random = new Random(SEED, "order");
    const killed: Session[] = [];
    for (let run = 0, drawn = 0; killed.length < KILLS; run++) {
      // Every other run is killed again while it is resumed.
      const times = Math.min(KILLS - killed.length, run % 2 === 0 ? 1 : 2 + random.integer(2));
      const moments = Array.from({ length: times }, () =>
        kills.draw(random, KINDS[drawn++ % KINDS.length]!),
      );
      killed.push(...(await kills.expectSurvival(`random-${run}`, moments)));
    }
    const inSaves = killed.filter(insideSave);
    console.log(`${killed.length} kills, ${inSaves.length} of them in saves, before:`);
    for (const { journal } of killed) console.log(`  ${journal.at(-1)}`);
    expect(inSaves.length).toBeGreaterThanOrEqual(IN_SAVES);
  });
});
