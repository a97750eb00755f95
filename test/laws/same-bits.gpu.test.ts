import { createHash } from "node:crypto";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import type { Feed } from "../../src/network/feed.ts";
import { useDevice } from "../helpers/device.ts";
import { loadGoldenModel } from "../helpers/golden.ts";
import {
  capacityOf,
  EVERYTHING,
  treePrompt,
  packedGroups,
  randomGroup,
  TrainingPass,
  type Group,
} from "../helpers/tree-training.ts";

/** SHA-256 of the loss and the bits of all gradients. */
async function fingerprint(pass: TrainingPass, feeds: readonly Feed[]): Promise<string> {
  const hash = createHash("sha256").update(String(await pass.run(feeds)));
  for (const [name, gradient] of await pass.gradients()) hash.update(name).update(gradient);
  return hash.digest("hex");
}

const norm = (values: Float32Array): number => Math.hypot(...values);

/** Prompts of every kind of medium that a family takes, and one of text alone. */
const NAMES = {
  "omni/tiny-a": ["text", "av", "image", "audio", "mixed", "video"],
  "vl/tiny-a": ["text", "image-and-video", "two-images", "video-fraction"],
  "qwen2-audio/tiny-a": ["text", "two-clips", "audio-edges", "audio"],
} as const;

/** Trees of all modalities with unequal completions. */
async function makeGroups(model: keyof typeof NAMES, config: FamilyModel): Promise<Group[]> {
  return Promise.all(
    NAMES[model].map(async (name, i) =>
      randomGroup(await treePrompt(model, name, config), [3 + i, 1, 9 - i], i),
    ),
  );
}

describe.each(Object.keys(NAMES) as (keyof typeof NAMES)[])("laws 6 and 8 with %s", (model) => {
  const device = useDevice();
  let config: FamilyModel;
  let groups: Group[];
  let pass: TrainingPass;
  const load = async (on: Device): Promise<TrainingPass> => {
    const loaded = await loadGoldenModel(on, model, EVERYTHING);
    config = loaded.config;
    groups = await makeGroups(model, config);
    const capacity = capacityOf([packedGroups(config, groups)]);
    return TrainingPass.compile(on, config, loaded.weights, capacity);
  };
  beforeAll(async () => {
    pass = await load(device());
  });

  it("the same replay gives the same bits twenty times, and on a fresh device", async () => {
    const feeds = [packedGroups(config, groups)];
    const first = await fingerprint(pass, feeds);
    for (let i = 1; i < 20; i++) {
      // Another replay in between leaves other data in every buffer.
      if (i % 5 === 0) await pass.run([packedGroups(config, groups.slice(0, 2))]);
      expect(await fingerprint(pass, feeds), `replay ${i}`).toBe(first);
    }
    const fresh = await openDevice({ tier: inject("tier") });
    expect(await fingerprint(await load(fresh), feeds)).toBe(first);
    fresh.close();
  });

  it("splitting a step into several passes changes nothing beyond rounding", async () => {
    const whole = await pass.run([packedGroups(config, groups)]);
    const want = await pass.gradients();
    // Rounding is relative to what is summed: a gradient that cancels between trees is held against
    // the gradients of its trees. Attention meets keys in other tiles when trees lie elsewhere, so rows
    // differ by rounding too: 1.2e-6 at most here, an order below the noise of the goldens.
    const terms = new Map<string, number>();
    for (const group of groups) {
      await pass.run([packedGroups(config, [group])]);
      for (const [name, gradient] of await pass.gradients()) {
        terms.set(name, (terms.get(name) ?? 0) + norm(gradient));
      }
    }
    for (const size of [1, 2, 4]) {
      const feeds = [];
      for (let i = 0; i < groups.length; i += size) {
        feeds.push(packedGroups(config, groups.slice(i, i + size)));
      }
      const split = await pass.run(feeds);
      expect(Math.abs(split / whole - 1), `${size} trees a pass`).toBeLessThan(1e-6);
      for (const [name, gradient] of await pass.gradients()) {
        const wanted = want.get(name)!;
        const difference = norm(gradient.map((value, i) => value - wanted[i]!));
        expect(difference / terms.get(name)!, `${size}: ${name}`).toBeLessThan(3e-6);
      }
    }
  });
});
