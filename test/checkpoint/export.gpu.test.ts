import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Graph } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { packedDecoder, towers } from "../../src/network/decoder/packed-decoder.ts";
import { exportFolder } from "../../src/model/export-folder.ts";
import { EXPORT_DTYPES, exportModel, modelTensors } from "../../src/checkpoint/export.ts";
import { Model } from "../../src/model/model.ts";
import { useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenFeed, relativeL2 } from "../helpers/golden.ts";

const root = fileURLToPath(new URL("../golden/", import.meta.url));
const run = promisify(execFile);

const FAMILIES = {
  omni: { prompt: "text", lora: "lora", golden: "lora/lora-text" },
  vl: { prompt: "image-and-video", lora: "lora/vl", golden: "lora/vl/lora" },
  "qwen2-audio": {
    ...{ prompt: "two-clips", lora: "lora/qwen2-audio" },
    golden: "lora/qwen2-audio/lora",
  },
} as const;

/** The output of check.py for a folder. */
interface Checked {
  name: string;
  error: number;
  problems: Record<string, string[]>;
}

describe("an exported model", () => {
  const device = useDevice();
  let place: string;
  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), "aubade-export-"));
  });
  afterAll(() => rm(place, { recursive: true, force: true }));

  const base = (family: string) => join(root, family, "tiny-a");
  const out = (name: string) => join(place, name);
  const json = async (path: string) =>
    JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;

  /** All logits of a family's prompt, by the head in float64. */
  async function logits(model: Model, family: keyof typeof FAMILIES): Promise<Float64Array> {
    const golden = await GoldenCase.open(`${family}/tiny-a-${FAMILIES[family].prompt}`);
    const feed = await goldenFeed(golden, model.config);
    const graph = new Graph();
    const scope = model.scope(graph);
    graph.keep("hidden", packedDecoder(scope, model.config, towers(scope, model.config)));
    const plan = await Plan.compile(device(), graph, { label: "export", capacity: feed.sizes });
    const used = new Set(graph.inputs.keys());
    plan.writeAll(Object.fromEntries(Object.entries(feed.inputs).filter(([n]) => used.has(n))));
    await plan.run(feed.sizes, feed.scalars);
    const hidden = await plan.read("hidden");
    plan.destroy();
    const { value } = model.weights.parameters.get("lm_head.weight")!;
    const head = await value.download();
    const { rows, width } = value;
    return Float64Array.from({ length: (hidden.length / width) * rows }, (_, i) => {
      const [row, token] = [Math.floor(i / rows) * width, (i % rows) * width];
      let sum = 0;
      for (let d = 0; d < width; d++) sum += hidden[row + d]! * head[token + d]!;
      return sum;
    });
  }

  async function loadedLogits(folder: string, family: keyof typeof FAMILIES) {
    const model = await Model.load(device(), folder);
    const got = await logits(model, family);
    model.weights.destroy();
    return got;
  }

  describe.each(Object.keys(FAMILIES) as (keyof typeof FAMILIES)[])("of %s", (family) => {
    it("from the device gives the same bits in every type that holds its weights", async () => {
      const model = await Model.load(device(), base(family));
      const want = await logits(model, family);
      for (const dtype of EXPORT_DTYPES) {
        const folder = out(`${family}-${dtype}`);
        const options = { dtype, like: base(family), origin: base(family) };
        const report = await exportModel(folder, model.config, modelTensors(model), options);
        // The goldens' weights are bf16, whose smallest f16 does not hold.
        if (dtype !== "f16") expect(report.inexact).toBe(0);
        expect(report.overflow).toBe(0);
        expect(report.changes).toMatchObject({ changed: 0, lost: 0 });
        const { torch_dtype, dtype: type } = await json(join(folder, "config.json"));
        const names = { f32: "float32", bf16: "bfloat16", f16: "float16" };
        expect(torch_dtype ?? type).toBe(names[dtype]);
        const got = await loadedLogits(folder, family);
        if (report.inexact === 0) expect(got).toEqual(want);
        else expect(relativeL2(got, want)).toBeLessThan(1e-4);
        const [written, given] = [await openCheckpoint(folder), await openCheckpoint(base(family))];
        const read = (name: string) => model.config.family.names.canonical(name)!;
        const all = (store: typeof given) => [...store.tensors.keys()].map(read).sort();
        expect(all(written)).toEqual(all(given));
        await Promise.all([written.close(), given.close()]);
      }
      model.weights.destroy();
    });

    it("with merged adapters gives peft's merged logits, in shards of any size", async () => {
      const adapter = join(place, "..", `${family}-peft-${process.pid}`);
      await mkdir(adapter, { recursive: true });
      const source = join(root, FAMILIES[family].lora, "adapter");
      for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
        await writeFile(join(adapter, name), await readFile(join(source, name)));
      }
      const settings = { source: adapter, base: base(family), dtype: "f32" as const };
      const merged = out(`${family}-merged`);
      const report = await exportFolder({
        ...{ ...settings, out: merged },
        ...{ merge: true, maxShardBytes: 100_000 },
      });
      expect(report.files.length).toBeGreaterThan(3);
      expect(report.files.at(-1)).toBe("model.safetensors.index.json");
      expect(report.changes!.changed).toBeGreaterThan(1000);
      expect(report.changes!.lost).toBe(0);
      const golden = await GoldenCase.open(FAMILIES[family].golden);
      const want = await golden.floats("merged_logits");
      expect(relativeL2(await loadedLogits(merged, family), want)).toBeLessThan(1e-5);
      // As adapters: the bytes of peft once more.
      const again = out(`${family}-adapter`);
      await exportFolder({ ...settings, out: again });
      const file = "adapter_model.safetensors";
      expect(await readFile(join(again, file))).toEqual(await readFile(join(source, file)));
      await rm(adapter, { recursive: true });
    });
  });

  it("loads in transformers and peft with the same logits", async () => {
    const python = process.env["AUBADE_PYTHON"];
    if (python === undefined) {
      process.stdout.write("SKIPPED: AUBADE_PYTHON names no Python with transformers and peft.\n");
      return;
    }
    const script = join(root, "roundtrip/check.py");
    const { stdout } = await run(python, [script, place], { env: { ...process.env } });
    const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
    expect(lines).toHaveLength(3 * (EXPORT_DTYPES.length + 2));
    for (const line of lines) {
      const { name, error, problems } = JSON.parse(line) as Checked;
      process.stdout.write(`${name}: ${error.toExponential(1)}\n`);
      expect(problems, name).toEqual({});
      expect(error, name).toBeLessThan(
        name.endsWith("f16") && !name.endsWith("bf16") ? 1e-4 : 1e-5,
      );
    }
  }, 180_000);
});
