import fs, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import type { Tier } from "../../src/gpu/capabilities.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { findCheckpoint } from "../../src/run/checkpoint-folder.ts";
import type { TrainOptions } from "../../src/run/options.ts";
import { train } from "../../src/run/train.ts";
import { runFiles } from "../helpers/run-files.ts";
import { TinyWorkplace } from "../helpers/tiny-run.ts";

const STEPS = 5;

describe("a run that breaks goes on from its last checkpoint as if nothing had been", () => {
  const place = new TinyWorkplace();
  const { open } = fs;
  let want: Map<string, unknown>;
  beforeAll(async () => {
    await place.make();
    await run("whole");
    want = await runFiles(place.path("whole"), STEPS);
  });
  afterAll(() => place.remove());
  afterEach(() => {
    fs.open = open;
    syncBuiltinESMExports();
  });

  /** A run; `fault` is called at every completion of a step. */
  async function run(name: string, fault?: (step: number) => void, parts: TrainOptions = {}) {
    const tier = inject("tier").toUpperCase();
    const config = place.config({ train: { max_steps: STEPS }, device: { tier } });
    await train(config, {
      runFolder: place.path(name),
      onEvent({ kind, data }) {
        if (kind === "rollout") fault?.(data.step);
      },
      ...parts,
    });
  }

  async function expectWholeAgain(name: string): Promise<void> {
    expect((await findCheckpoint(place.path(name))).step).toBe(2);
    const names = await fs.readdir(place.path(name));
    expect(names.filter((entry) => entry.endsWith(".tmp"))).toEqual([]);
    await run(name, undefined, { resume: true });
    const got = await runFiles(place.path(name), STEPS);
    for (const [file, content] of want) expect(got.get(file), file).toEqual(content);
  }

  it("the device is lost in step 3", async () => {
    const device = await openDevice({ tier: inject("tier") as Tier });
    const lose = (step: number) => {
      if (step === 3) device.raw.destroy();
    };
    const lost = run("lost", lose, { device });
    await expect(lost).rejects.toMatchObject({ name: "DeviceError", code: "device-lost" });
    await expect(lost).rejects.toThrow(/--resume/);
    await expectWholeAgain("lost");
  });

  it("the disk is full when checkpoint 4 is written", async () => {
    fs.open = async (...args: Parameters<typeof open>): Promise<FileHandle> => {
      const handle = await open(...args);
      if (!/checkpoint-00004\.tmp.optimizer/.test(String(args[0]))) return handle;
      handle.write = () =>
        Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
      return handle;
    };
    syncBuiltinESMExports();
    const full = run("full");
    await expect(full).rejects.toMatchObject({ name: "CheckpointError", code: "disk-full" });
    await expect(full).rejects.toThrow(/optimizer\.safetensors \(ENOSPC\)\. Free some space/);
    fs.open = open;
    syncBuiltinESMExports();
    await expectWholeAgain("full");
  });
});
