/**
 * The garbage of source B, put into a run in each way that could cause it: sound attached twice, a
 * prompt cut within a medium, cache state that generation does not use. Every run goes the whole way
 * of `train`; it must end by the named error before any weight moves.
 */
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import type { RunConfig } from "../../src/config/schema.ts";
import { Events } from "../../src/core/events.ts";
import { fromBf16, toBf16 } from "../../src/core/dtype.ts";
import { openDataset } from "../../src/datasets/tiny/open.ts";
import type { Storage } from "../../src/graph/storage.ts";
import type { DecodeBuffers } from "../../src/network/decoder/decode.ts";
import type { Model } from "../../src/model/model.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import type { Processor } from "../../src/model/processor.ts";
import { Generator } from "../../src/rollout/generator.ts";
import { tokenFacts } from "../../src/rollout/token-facts.ts";
import { mropeTable } from "../../src/network/rotary.ts";
import { loadTrained } from "../../src/run/parts.ts";
import { train } from "../../src/run/train.ts";
import { useDevice } from "../helpers/device.ts";
import { DAMAGES, exchangeSound } from "../helpers/damaged-samples.ts";
import { allWeights, changedWeights } from "../helpers/grpo-trainer.ts";
import { plainConsole, tinyData, TinyWorkplace } from "../helpers/tiny-run.ts";

/** The faults that a test puts into a run. */
interface Faults {
  /** Samples of a step as they come from the processor, before the rollout. */
  loaded?: (samples: Sample[]) => void;
  /** Before the towers run. */
  asked?: (model: Model) => void;
  /** Between the prefill of a batch and its first decode step. */
  prefilled?: (buffers: DecodeBuffers) => void;
  /** After every decode step of a batch, counted from 1; the next step waits for it. */
  decoded?: (buffers: DecodeBuffers, step: number, samples: Sample[]) => void | Promise<void>;
  /** After the rollout, before the training pass. */
  rolledOut?: (samples: Sample[], buffers: DecodeBuffers) => void | Promise<void>;
}

/** The generator of a run, with the faults of a test put into it. */
class Faulty extends Generator {
  /** Weights at the last rollout. */
  before: Map<string, Float32Array> | undefined;
  readonly #model: Model;
  readonly #faults: Faults;
  #pending: void | Promise<void> = undefined;
  #hooked: unknown;

  constructor(model: Model, processor: Processor, faults: Faults) {
    super(model, tokenFacts(processor));
    this.#model = model;
    this.#faults = faults;
  }

  override async generate(...[requests, options]: Parameters<Generator["generate"]>) {
    const { loaded, asked, prefilled, decoded, rolledOut } = this.#faults;
    const samples = requests.map(({ sample }) => sample);
    this.before = await allWeights(this.#model);
    loaded?.(samples);
    asked?.(this.#model);
    let step = 0;
    const onTokens = () => {
      this.#hook();
      this.#pending = decoded?.(this.buffers!, ++step, samples);
    };
    const { seed } = options;
    // The seed is first read when a batch's prompts are in the cache.
    const watched = Object.defineProperty({ ...options }, "seed", {
      enumerable: true,
      get: () => (prefilled?.(this.buffers!), seed),
    });
    const groups = await super.generate(requests, watched, decoded && { every: 1, onTokens });
    await rolledOut?.(samples, this.buffers!);
    return groups;
  }

  /** The done flags are read between two steps: what a test does is over before they are. */
  #hook(): void {
    const { done } = this.buffers!;
    if (this.#hooked === done) return;
    this.#hooked = done;
    const download = done.download.bind(done);
    done.download = async (...args) => {
      await this.#pending;
      return download(...args);
    };
  }
}

const device = useDevice();
const place = new TinyWorkplace();
/** Clips of the tiny task: pictures and sound in one file. */
let clips: string[];
/** The model of the last run, which outlives it for a look at its weights. */
let model: Model | undefined;

beforeAll(async () => {
  await place.make();
  const folder = place.path("clips");
  const data = tinyData(place.config());
  const set = await openDataset("train", data, [0, 1, 2, 3, 4, 5, 6, 7], folder, new Events());
  clips = [0, 1].map((index) => set.row(index).mediaNames);
  await cp(clips[0]!, place.path("copy.mp4"));
});
afterAll(() => place.remove());
let said: string;
beforeEach(() => {
  said = "";
});
afterEach(() => {
  model?.weights.destroy();
  model = undefined;
});

let runs = 0;

/** The outcome of a run. */
interface Outcome {
  error: Error & { code?: string };
  folder: string;
  /** Weights that differ from those of the last rollout. */
  moved: string[];
  /** Rows of a log; none when it is empty or not there. */
  rows: (log: string) => Promise<Record<string, unknown>[]>;
}

const SETTINGS = {
  // Fresh weights rarely say the end token, so that every completion reaches the faults.
  model: { init: "random" },
  rollout: { max_completion_length: 8 },
  train: { max_steps: 2, num_generations: 2, save_steps: 1 },
  eval: null,
  output: { export_dtype: null },
};

/** A run with faults put into it; stopped after a step, or resumed. */
async function attempt(
  faults: Faults,
  change: Record<string, object | string | null> = {},
  { stopAfter, resume }: { stopAfter?: number; resume?: Outcome } = {},
): Promise<Outcome> {
  const name = `run-${runs++}`;
  const tier = inject("tier").toUpperCase();
  const config: RunConfig = place.config({ ...SETTINGS, device: { tier }, ...change });
  const folder = resume?.folder ?? place.path(name);
  model?.weights.destroy();
  model = await loadTrained(device(), config.model.path, config, new Events());
  const loaded = await allWeights(model);
  let source: Faulty | undefined;
  const interrupt = new AbortController();
  const console = plainConsole((text) => (said += text));
  let error: Error = new Error("the run went through");
  try {
    await train(config, {
      ...{ device: device(), model, runFolder: folder, resume: resume !== undefined },
      signal: interrupt.signal,
      rollouts: (own, processor) => (source = new Faulty(own, processor, faults)),
      onEvent(event) {
        console(event);
        if (event.kind === "step" && event.data.step === stopAfter) interrupt.abort();
      },
    });
  } catch (cause) {
    error = cause as Error;
  }
  const moved = changedWeights(source?.before ?? loaded, await allWeights(model));
  const rows = async (log: string) => {
    // A start that fails takes its folder away again.
    const text = await readFile(`${folder}/${log}`, "utf8").catch(() => "");
    const lines = text.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { error, folder, moved, rows };
}

/** A JSON Lines file of prompts, whose parts are given. */
async function prompts(...lines: object[][]): Promise<{ name: string; path: string }> {
  const path = place.path(`rows-${runs}.jsonl`);
  const text = { type: "text", text: " Which colour goes with hiss ?" };
  const rows = lines.map((content, i) =>
    JSON.stringify({
      id: `mine-${i}`,
      prompt: [{ role: "user", content: [...content, text] }],
      answer: "A",
    }),
  );
  await writeFile(path, `${rows.join("\n")}\n`);
  return { name: "jsonl", path };
}

const seen = (video: string, use_audio_in_video: boolean) => ({
  ...{ type: "video", video, fps: 4, min_pixels: 3136, use_audio_in_video },
});
const heard = (audio: string) => ({ type: "audio", audio });

const clipPath = () => clips[0]!;

/** Expects that a run ended by a named error before it was trained on, and left nothing behind. */
async function expectRefused({ error, moved, folder }: Outcome, code: string, says: RegExp) {
  expect(error.message).toMatch(says);
  expect(error.code).toBe(code);
  expect(moved).toEqual([]);
  // A start that fails takes its folder away again.
  const left = await readdir(folder).catch(() => []);
  expect(left.filter((name) => name.startsWith("checkpoint"))).toEqual([]);
}

it("a sound run goes through", async () => {
  // The looks between two steps that cache faults need change nothing either.
  const { error, moved, rows } = await attempt({ decoded: () => {} });
  expect(error.message).toBe("the run went through");
  expect(moved.length).toBeGreaterThan(20);
  const metrics = await rows("metrics.jsonl");
  expect(metrics).toHaveLength(2);
  for (const row of metrics) {
    expect(row["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-5);
  }
});

describe("sound attached twice", () => {
  const says = (row: string) =>
    new RegExp(
      `^rows-\\d\\.jsonl:\\d: ${row}: medium \\d, audio .*, is also the soundtrack of medium \\d, video .*00000`,
    );

  it("by a part of its own beside the heard video: refused before the first step", async () => {
    const rows = await prompts([seen(clipPath(), true), heard(clipPath())]);
    const outcome = await attempt({}, { data: rows });
    await expectRefused(outcome, "sound-twice", says("mine-0"));
    expect(outcome.error.message).toContain("set use_audio_in_video to false for the video");
    expect(await outcome.rows("rollouts.jsonl")).toEqual([]);
  });

  it("in a later row, under another name: refused before the first step too", async () => {
    const rows = await prompts(
      [heard(clips[1]!)],
      [heard(place.path("copy.mp4")), seen(clipPath(), true)],
    );
    const train = { ...SETTINGS.train, prompts_per_step: 1, shuffle_dataset: false };
    const outcome = await attempt({}, { data: rows, train });
    await expectRefused(outcome, "sound-twice", says("mine-1"));
    expect(await outcome.rows("rollouts.jsonl")).toEqual([]);
  });

  it("not at all in HumanOmniV2's own form, the video unheard and its sound a part", async () => {
    const rows = await prompts([seen(clipPath(), false), heard(clipPath())]);
    const train = { ...SETTINGS.train, prompts_per_step: 1, max_steps: 1 };
    const { error, moved, rows: log } = await attempt({}, { data: rows, train });
    expect(error.message).toBe("the run went through");
    expect(moved.length).toBeGreaterThan(20);
    expect((await log("events.jsonl")).filter(({ kind }) => kind === "warning")).toEqual([]);
  });

  it("on purpose, to compare: trained on, and named in the run's log", async () => {
    const rows = await prompts(
      [heard(clipPath()), heard(clips[1]!), heard(clipPath())],
      [seen(clips[1]!, true), heard(clipPath())],
    );
    const { error, rows: log } = await attempt({}, { data: rows });
    expect(error.message).toBe("the run went through");
    const warnings = (await log("events.jsonl")).filter(({ kind }) => kind === "warning");
    const message = `mine-0: medium 3, audio ${clipPath()}, is medium 1 again.`;
    const warning = { kind: "warning", code: "medium-repeated", message };
    expect(warnings).toEqual([warning, warning]);
    expect(said).toContain(message);
  });

  it("the warnings of a run that was stopped and resumed are those of one that was not", async () => {
    const data = await prompts([heard(clipPath()), heard(clipPath())], [heard(clips[1]!)]);
    const change = { data, train: { ...SETTINGS.train, max_steps: 3, prompts_per_step: 1 } };
    const whole = await attempt({}, change);
    const stopped = await attempt({}, change, { stopAfter: 1 });
    const warnings = async ({ rows }: Outcome) =>
      (await rows("events.jsonl")).filter(({ kind }) => kind === "warning");
    const resumed = await attempt({}, change, { resume: stopped });
    expect(await resumed.rows("metrics.jsonl")).toHaveLength(3);
    expect((await warnings(whole)).length).toBeGreaterThan(0);
    expect(await warnings(resumed)).toEqual(await warnings(whole));
  });

  it.each([false, true])(
    "the sounds of two rows exchanged after processing (entries too: %s)",
    async (entries) => {
      const loaded = ([a, b]: Sample[]) => exchangeSound(a!, b!, entries);
      await expectRefused(
        await attempt({ loaded }),
        "ledger-mismatch",
        /^tiny-train-3-\d+: .*\.mp4 has other values in the tensors than its processor made/,
      );
    },
  );

  it.each([
    ["sound rows of two prompts exchanged", "audio", 50],
    ["sound one row late", "audio", 1],
    ["pictures one row late", "vision", 1],
  ] as const)("features between rollout and training: %s", async (_, name, shift) => {
    const rolledOut: Faults["rolledOut"] = async (_samples, buffers) => {
      const features = buffers[name]![0]!;
      const all = await features.download();
      const by = shift * features.width;
      features.upload(Float32Array.from([...all.subarray(by), ...all.subarray(0, by)]));
    };
    const says = /^rollout and training disagree .* worst at tiny-train-3-\d+ \(audio-video\)/;
    await expectRefused(await attempt({ rolledOut }), "rollout-mismatch", says);
  });

  it("sounds of a batch given out in another order: a group alone tells", async () => {
    const first = async (prompts_per_step: number, faults: Faults = {}) => {
      const train = { ...SETTINGS.train, prompts_per_step, max_steps: 1 };
      const { rows } = await attempt(faults, { train });
      const [{ sample, ids, log_probs }] = (await rows("rollouts.jsonl")) as [
        Record<string, object>,
      ];
      return { sample, ids, log_probs };
    };
    const alone = await first(1);
    expect(await first(2)).toEqual(alone);
    const asked = (model: Model) => {
      const feed = model.mediaFeed.bind(model);
      model.mediaFeed = (media) =>
        feed(media.map((medium, i) => ({ ...medium, mel: media[media.length - 1 - i]!.mel })));
    };
    expect(await first(2, { asked })).not.toEqual(alone);
  });
});

describe("a prompt cut, or changed otherwise, after its processor made it", () => {
  // All kinds of damage are in test/prompt/garbage.test.ts; these show that every stage looks.
  const early = DAMAGES.filter(({ name }) => /second time$|rows cut along|lost/.test(name));
  it.each(early)("before the rollout: $name", async ({ apply, says }) => {
    const outcome = await attempt({ loaded: ([first]) => apply(first!) });
    await expectRefused(outcome, "ledger-mismatch", says);
    expect(outcome.error.message).toMatch(/^tiny-train-3-\d+: /);
    expect(await outcome.rows("rollouts.jsonl")).toEqual([]);
  });

  const late = DAMAGES.filter(({ name }) => /^feature|^cut|another prompt|ledger too/.test(name));
  it.each(late)("between rollout and training: $name", async ({ apply, says }) => {
    const outcome = await attempt({ rolledOut: ([, second]) => apply(second!) });
    await expectRefused(outcome, "ledger-mismatch", says);
  });

  it("between rollout and the reference's log-probabilities", async () => {
    const { apply, says } = DAMAGES.find(({ name }) => name.startsWith("the first token"))!;
    const change = { train: { ...SETTINGS.train, beta: 0.1 } };
    const outcome = await attempt({ rolledOut: ([, second]) => apply(second!) }, change);
    await expectRefused(outcome, "ledger-mismatch", says);
    expect(outcome.error.stack).toContain("referenceLogProbs");
  });
});

type Cache = "prefix" | "suffix";

/** Keys and values of some layers of a cache, all when left out. */
const cache = (buffers: DecodeBuffers, name: Cache, ...layers: number[]): Storage[] =>
  buffers[name]
    .filter((_, i) => layers.length === 0 || layers.includes(i))
    .flatMap(({ k, v }) => [k, v]);
const wipe = (storages: Storage[]) =>
  storages.forEach((storage) => storage.upload(new Float32Array(storage.rows * storage.width)));
/** A rotary table whose positions are changed. */
const rotated = (buffers: DecodeBuffers, change: (position: number) => number) => {
  const { rotaryAxes, ropeTheta } = model!.config.text;
  const { positions } = buffers.sizes;
  const changed = Uint32Array.from({ length: 3 * positions }, (_, i) => change(i % positions));
  buffers.rotary.upload(mropeTable(changed, positions, rotaryAxes, ropeTheta));
};

/** Rounds to bf16 what a cache keeps in f32. */
const rounded = async (storage: Storage) =>
  storage.upload((await storage.download()).map((value) => fromBf16(toBf16(value))));

let stale: Float32Array[] = [];

const CACHE_FAULTS: readonly ({ name: string; trained?: number } & Faults)[] = [
  {
    name: "the prompt's cache is another one, all zeros",
    prefilled: (buffers) => wipe(cache(buffers, "prefix")),
  },
  {
    name: "so in one layer",
    prefilled: ({ prefix }) => wipe([prefix[2]!.v]),
  },
  {
    name: "the prompt's cache is wiped after the first token",
    decoded: (buffers, step) => (step === 1 ? wipe(cache(buffers, "prefix")) : undefined),
  },
  {
    name: "the second step reads the prompts of the first: its prefill is lost",
    trained: 1,
    decoded: async (buffers, step) => {
      if (step !== 1) return;
      const storages = cache(buffers, "prefix");
      if (stale.length > 0) storages.forEach((storage, i) => storage.upload(stale[i]!));
      else stale = await Promise.all(storages.map((storage) => storage.download()));
    },
  },
  {
    name: "the completions' cache is never written",
    decoded: (buffers) => wipe(cache(buffers, "suffix")),
  },
  {
    name: "one layer's cache is lost for one step",
    decoded: (buffers, step) => (step === 3 ? wipe(cache(buffers, "suffix", 3)) : undefined),
  },
  {
    name: "one key of one layer of one completion is lost",
    decoded: ({ suffix, sizes }, step) =>
      step === 3
        ? suffix[1]!.k.upload(new Float32Array(suffix[1]!.k.width), 2 * sizes.capacity + 1)
        : undefined,
  },
  {
    name: "a completion reads the prompt of another row",
    decoded: ({ prefixRange }, step, [a, b]) => {
      const lengths = [a!.inputIds.length, b!.inputIds.length] as const;
      const range = Uint32Array.of(lengths[0], lengths[0] + lengths[1]);
      if (step === 1) prefixRange.upload(range, 1);
    },
  },
  {
    name: "two completions exchange what they wrote",
    decoded: async (buffers, step) => {
      const { capacity } = buffers.sizes;
      if (step !== 4) return;
      for (const storage of cache(buffers, "suffix")) {
        const [a, b] = [
          await storage.download(capacity),
          await storage.download(capacity, capacity),
        ];
        storage.upload(b);
        storage.upload(a, capacity);
      }
    },
  },
  {
    name: "positions do not advance",
    decoded: (buffers, step, samples) => {
      const start = Math.min(...samples.map(({ nextPos }) => nextPos));
      if (step === 1) rotated(buffers, (position) => Math.min(position, start));
    },
  },
  {
    name: "positions are one late",
    decoded: (buffers, step) =>
      step === 1 ? rotated(buffers, (position) => position + 1) : undefined,
  },
  {
    name: "the prompt's keys and values are rounded to bf16 in generation only",
    decoded: async (buffers, step) => {
      if (step === 1) for (const storage of cache(buffers, "prefix")) await rounded(storage);
    },
  },
];

describe("cache state that generation does not use as training does", () => {
  it.each(CACHE_FAULTS)("$name", async ({ trained = 0, ...faults }) => {
    stale = [];
    const outcome = await attempt(faults, { train: { ...SETTINGS.train, save_steps: 0 } });
    await expectRefused(
      outcome,
      "rollout-mismatch",
      /worst at tiny-train-3-\d+ \(audio-video\), completion [01], token \d \(id \d+\): -\d+\.\d{4} at rollout, -\d+\.\d{4} in training/,
    );
    expect(await outcome.rows("metrics.jsonl")).toHaveLength(trained);
    // The rollouts are in the log, whether or not they were trained on.
    expect(await outcome.rows("rollouts.jsonl")).toHaveLength(4 * (trained + 1));
  });

  it.each([0, 1])("in the rows of minibatch %i, before any of them is trained on", async (part) => {
    const train = { ...SETTINGS.train, num_minibatches: 2 };
    const decoded: Faults["decoded"] = (buffers, step) => {
      const { capacity } = buffers.sizes;
      if (step !== 2) return;
      for (const storage of cache(buffers, "suffix")) {
        storage.upload(new Float32Array(2 * capacity * storage.width), 2 * capacity * part);
      }
    };
    await expectRefused(await attempt({ decoded }, { train }), "rollout-mismatch", /^rollout and/);
  });

  it("a fault of one modality's rows is named by its modality", async () => {
    const rows = await prompts([], [heard(clipPath())], [seen(clipPath(), false)]);
    const train = { ...SETTINGS.train, prompts_per_step: 3, shuffle_dataset: false };
    const decoded: Faults["decoded"] = ({ suffix, sizes }, step) => {
      // Rows 2 and 3 of six are those of the sound.
      const { k } = suffix[0]!;
      if (step === 2) k.upload(new Float32Array(2 * sizes.capacity * k.width), 2 * sizes.capacity);
    };
    const outcome = await attempt({ decoded }, { data: rows, train });
    await expectRefused(outcome, "rollout-mismatch", /worst at mine-1 \(audio\), completion/);
    const means = /text (\S+), audio (\S+), vision (\S+)\)/.exec(outcome.error.message)!;
    const [text, audio, vision] = means.slice(1).map(Number) as [number, number, number];
    expect(audio).toBeGreaterThan(1e-5);
    expect(Math.max(text, vision)).toBeLessThan(1e-6);
  });
});
