import { createHash } from "node:crypto";
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/core/errors.ts";
import {
  checkpointName,
  findCheckpoint,
  hasCheckpoint,
  type Keeping,
  saveCheckpoint,
  scoredBy,
  tidyCheckpoints,
} from "../../src/run/checkpoint-folder.ts";
import { nextRunFolder, prepareRunFolder, writeRunFacts } from "../../src/run/folder.ts";
import { allFinite } from "../../src/checkpoint/finite.ts";
import { lastRun } from "../../src/run/find-run.ts";
import { parseState, STATE_VERSION, stateText, type TrainerState } from "../../src/run/state.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-run-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const FACTS = { command: "train.js", versions: {}, commit: null, seed: 1, device: {} };

const STATE: TrainerState = {
  version: STATE_VERSION,
  task: "grpo",
  step: 10,
  draw: 10,
  samplesConsumed: 160,
  entropyControl: { coef: 0.01, lastEntropy: 0.3 },
  numTokens: 12345,
  seconds: 1.5,
  data: "abc",
  before: { own: { overall: 0.5 } },
  logs: { bytes: { "metrics.jsonl": 99 }, pending: { reward: [0.5, null] } },
};

function save(step: number, keeping: Keeping = { last: 2 }): Promise<string> {
  return saveCheckpoint(root, step, keeping, async (folder) => {
    await writeFile(join(folder, "model.safetensors"), `weights of step ${step}`);
    await writeFile(join(folder, "state.json"), stateText({ ...STATE, step }));
  });
}

describe("run folder", () => {
  it("counts up, refuses a used folder, and resumes the newest", async () => {
    const runs = join(root, "runs");
    const first = await nextRunFolder(runs, "tiny");
    expect(first).toBe(`${runs}/tiny-001`);
    await expect(lastRun(runs, "tiny")).rejects.toMatchObject({ code: "no-run" });
    await expect(prepareRunFolder(first, true)).rejects.toMatchObject({ code: "no-run" });
    await prepareRunFolder(first, false);
    expect(await readdir(first)).toEqual([]);
    await writeRunFacts(first, "task: grpo\n", FACTS);
    await expect(prepareRunFolder(first, false)).rejects.toMatchObject({ code: "run-folder-used" });
    await prepareRunFolder(first, true);
    expect(await nextRunFolder(runs, "tiny")).toBe(`${runs}/tiny-002`);
    expect(await lastRun(runs, "tiny")).toEqual({ folder: first, passedOver: [] });
    expect(await nextRunFolder(runs, "tiny-sft")).toBe(`${runs}/tiny-sft-001`);
    expect(JSON.parse(await readFile(join(first, "run.json"), "utf8"))).toEqual(FACTS);
  });

  it("says before any work that it cannot be written", async () => {
    const file = join(root, "file");
    await writeFile(file, "x");
    const failure = prepareRunFolder(join(file, "run"), false);
    await expect(failure).rejects.toMatchObject({
      name: "ConfigError",
      code: "run-folder-unwritable",
    });
    await expect(failure).rejects.toThrow(/Nothing was started; set output\.run_dir/);
  });

  it.skipIf(process.getuid?.() === 0)("names missing permissions", async () => {
    await chmod(root, 0o500);
    await expect(prepareRunFolder(join(root, "run"), false)).rejects.toThrow(/EACCES/);
    await chmod(root, 0o700);
  });
});

describe("checkpoints", () => {
  it("keeps the newest, and finds them", async () => {
    for (const step of [5, 10, 15]) await save(step);
    expect(await readdir(root)).toEqual(["checkpoint-00010", "checkpoint-00015"]);
    expect(await findCheckpoint(root)).toMatchObject({ step: 15, passedOver: [] });
  });

  it("keeps the best besides the newest, the later one of equals", async () => {
    const scores = [0.2, 0.9, 0.9, 0.5, 0.1];
    for (const [i, score] of scores.entries()) await save(5 * (i + 1), { last: 2, score });
    // Of the equal ones, 10 went when 15 was as good.
    const kept = ["checkpoint-00015", "checkpoint-00020", "checkpoint-00025"];
    expect(await readdir(root)).toEqual(kept);
    expect(await findCheckpoint(root)).toMatchObject({ step: 25 });
    await save(30, { last: 1, score: 0.95 });
    expect(await readdir(root)).toEqual(["checkpoint-00030"]);
  });

  it("compares only scores of the same metric, in the same direction", async () => {
    const by = scoredBy({ keep_best: "reward", greater_is_better: true })!;
    await save(5, { last: 1, score: 0.9, by });
    await save(10, { last: 1, score: 0.1, by });
    expect(await readdir(root)).toEqual(["checkpoint-00005", "checkpoint-00010"]);
    const less = scoredBy({ keep_best: "kl", greater_is_better: false })!;
    expect(less).not.toBe(scoredBy({ keep_best: "kl", greater_is_better: true }));
    for (const [step, score] of [
      [15, -0.2],
      [20, -0.3],
    ] as const) {
      await save(step, { last: 1, score, by: less });
    }
    expect(await readdir(root)).toEqual(["checkpoint-00015", "checkpoint-00020"]);
    await tidyCheckpoints(root, 20, { last: 1, by: less });
    expect(await readdir(root)).toEqual(["checkpoint-00015", "checkpoint-00020"]);
    expect(scoredBy({ keep_best: null, greater_is_better: true })).toBeUndefined();
    await tidyCheckpoints(root, 20, { last: 1 });
    expect(await readdir(root)).toEqual(["checkpoint-00015", "checkpoint-00020"]);
  });

  it("passes over what is not whole, and says why", async () => {
    for (const step of [5, 10, 15, 20, 25]) await save(step, { last: 9 });
    const state = join(root, "checkpoint-00025", "state.json");
    await writeFile(state, (await readFile(state, "utf8")).replace("{", "["));
    await truncate(join(root, "checkpoint-00020", "model.safetensors"), 3);
    await rm(join(root, "checkpoint-00015", "state.json"));
    await rm(join(root, "checkpoint-00010", "manifest.json"));
    const found = await findCheckpoint(root);
    expect(found.step).toBe(5);
    expect(found.passedOver.map(({ reason }) => reason)).toEqual([
      "state.json is no trainer state: it is not JSON",
      "model.safetensors has 3 bytes instead of 18",
      "state.json is missing",
      "manifest.json is missing or does not list files and digests",
    ]);
    // Broken ones are newer, but do not push out what is whole.
    await save(10, { last: 1 });
    expect(await findCheckpoint(root)).toMatchObject({ step: 10 });
    await save(25, { last: 9 });
    expect(await findCheckpoint(root)).toMatchObject({ step: 25, passedOver: [] });
  });

  it("a manifest that is broken in an older one hinders neither saving nor resuming", async () => {
    for (const step of [5, 10, 15]) await save(step, { last: 9, score: step === 5 ? 0.9 : 0.1 });
    await writeFile(join(root, "checkpoint-00010", "manifest.json"), "");
    await save(20, { last: 3, score: 0.2 });
    await writeFile(join(root, "checkpoint-00015", "manifest.json"), "null");
    await tidyCheckpoints(root, 20, { last: 3 });
    await save(25, { last: 1 });
    expect(await readdir(root)).toEqual(["checkpoint-00005", "checkpoint-00025"]);
  });

  it("what a session that was cut off left is removed", async () => {
    expect(await hasCheckpoint(root)).toBe(false);
    for (const step of [5, 10, 15]) await save(step, { last: 9 });
    expect(await hasCheckpoint(root)).toBe(true);
    for (const name of ["checkpoint-00005.tmp", "checkpoint-00020.tmp"]) {
      await mkdir(join(root, name));
      await writeFile(join(root, name, "half"), "x");
    }
    await writeFile(join(root, "notes.tmp"), "the user's");
    await tidyCheckpoints(root, 10, { last: 1 });
    const kept = ["checkpoint-00010", "checkpoint-00015", "notes.tmp"];
    expect(await readdir(root)).toEqual(kept);
    await tidyCheckpoints(root, undefined, { last: 1 });
    expect(await readdir(root)).toEqual(kept);
  });

  it("a failure while saving leaves the earlier ones and no rest", async () => {
    await save(5);
    const full = new CheckpointError("disk-full", "Cannot write.");
    const failing = saveCheckpoint(root, 10, { last: 1 }, async (folder) => {
      await writeFile(join(folder, "half"), "x");
      throw full;
    });
    await expect(failing).rejects.toBe(full);
    expect(await readdir(root)).toEqual(["checkpoint-00005"]);
  });

  it("ignores a folder that was never finished", async () => {
    await expect(findCheckpoint(root)).rejects.toMatchObject({ code: "no-checkpoint" });
    await save(5);
    await saveCheckpoint(join(root, "other"), 7, { last: 1 }, async () => {});
    await writeFile(join(root, "checkpoint-00009.tmp"), "x");
    expect((await findCheckpoint(root)).step).toBe(5);
  });
});

describe("a damaged checkpoint", () => {
  it("is passed over for one bit, for zeros and for a state of another step", async () => {
    for (const step of [5, 10, 15, 20]) await save(step, { last: 9 });
    const file = (step: number, name: string) => join(root, checkpointName(step), name);
    const flip = async (path: string) => {
      const bytes = await readFile(path);
      bytes[3]! ^= 1;
      await writeFile(path, bytes);
    };
    await flip(file(20, "model.safetensors"));
    const { size } = await stat(file(15, "model.safetensors"));
    await writeFile(file(15, "model.safetensors"), new Uint8Array(size));
    // The digest fits, but the manifest's step does not.
    const state = stateText({ ...STATE, step: 11 });
    await writeFile(file(10, "state.json"), state);
    const manifest = JSON.parse(await readFile(file(10, "manifest.json"), "utf8")) as {
      files: Record<string, unknown>;
    };
    const sha256 = createHash("sha256").update(state).digest("hex");
    manifest.files["state.json"] = { bytes: state.length, sha256 };
    await writeFile(file(10, "manifest.json"), JSON.stringify(manifest));
    const found = await findCheckpoint(root);
    expect(found.step).toBe(5);
    expect(found.passedOver.map(({ reason }) => reason)).toEqual([
      "model.safetensors is damaged: its SHA-256 is not the manifest's",
      "model.safetensors is damaged: its SHA-256 is not the manifest's",
      "state.json is of step 11, not 10",
    ]);
    await flip(file(5, "model.safetensors"));
    const none = findCheckpoint(root);
    await expect(none).rejects.toMatchObject({ code: "no-checkpoint" });
    await expect(none).rejects.toThrow(/checkpoint-00005: model.* Restore the files from a copy/);
    await expect(findCheckpoint(root, checkpointName(15))).rejects.toThrow(
      /checkpoint-00015 is not whole .* --resume .* takes the newest whole one/,
    );
  });

  it("of weights that are not finite is not saved, and what is good is named", async () => {
    await save(5, { last: 1 });
    const overflow = saveCheckpoint(root, 10, { last: 1 }, async () => {
      allFinite("lm_head.weight", Float32Array.of(1, NaN, -Infinity));
    });
    await expect(overflow).rejects.toMatchObject({ code: "non-finite" });
    await expect(overflow).rejects.toThrow(
      /Step 10 was not saved: 2 of 3 values .* of lm_head.weight .*checkpoint-00005 is whole\. Begin another run with a lower train\.learning_rate .*model\.path=\S*checkpoint-00005/,
    );
    expect(await readdir(root)).toEqual(["checkpoint-00005"]);
  });
});

describe("trainer state", () => {
  it("comes back as it was", () => {
    expect(parseState(stateText(STATE), "state.json")).toEqual(STATE);
  });

  it.each([
    ["{", "is not JSON"],
    ["[]", "not an object"],
    [JSON.stringify({ ...STATE, version: 1 }), "its version is 1, this program reads 4"],
    [
      JSON.stringify({ ...STATE, entropyControl: {} }),
      "entropyControl.coef is undefined, not a number",
    ],
    [JSON.stringify({ ...STATE, step: -1 }), "step is -1, not a count"],
    [JSON.stringify({ ...STATE, logs: {} }), "logs.bytes is undefined, not an object"],
    [JSON.stringify({ ...STATE, logs: { bytes: { a: 0.5 }, pending: {} } }), "logs.bytes"],
    [JSON.stringify({ ...STATE, logs: { bytes: {}, pending: { a: 1 } } }), "logs.pending"],
    [JSON.stringify({ ...STATE, before: { a: "x" } }), "before"],
  ])("refuses %s", (text, reason) => {
    expect(() => parseState(text, "state.json")).toThrow(reason);
  });
});
