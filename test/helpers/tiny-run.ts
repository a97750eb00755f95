import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSchema, type RunConfig } from "../../src/config/schema.ts";
import { Events, type Listener } from "../../src/core/events.ts";
import { ConsoleLine } from "../../src/observe/console-line.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import { initialWeights } from "../../src/checkpoint/init.ts";

const assets = fileURLToPath(new URL("../../assets/tiny", import.meta.url));

/** A folder of a test's own with the tiny model under fresh weights, and room for clips and runs. */
export class TinyWorkplace {
  readonly root: string;

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), "aubade-run-"));
  }

  /** The checkpoint folder. */
  get model(): string {
    return this.path("model");
  }

  /** A path in the folder. */
  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  /**
   * Writes the checkpoint; weights follow from the seed.
   *
   * The head's row of the end token is made large, so that completions differ in length.
   */
  async make(seed = 7): Promise<void> {
    await mkdir(this.model);
    for (const name of await readdir(assets)) {
      if (name.endsWith(".json")) await cp(join(assets, name), join(this.model, name));
    }
    const config = parseModelConfig(await readFile(join(this.model, "config.json"), "utf8"));
    const weights = initialWeights(config, seed);
    const { hiddenSize } = config.text;
    const end = config.tokens.eos! * hiddenSize;
    const head = weights.get("lm_head.weight")!.data;
    for (let i = end; i < end + hiddenSize; i++) head[i]! *= 13;
    const tensors = [...weights].map(([name, { shape, data }]) => ({
      ...{ name: config.family.names.stored(name), shape, data },
      dtype: "F32" as const,
    }));
    await writeSafetensors(join(this.model, "model.safetensors"), tensors, { format: "pt" });
  }

  /** A checked configuration of a short run; `change` is laid over its sections. */
  config(change: Record<string, object | string | null> = {}): RunConfig {
    const base: Record<string, object | string | null> = {
      model: { path: this.model },
      data: { clips: 8, folder: this.path("clips") },
      rollout: { max_completion_length: 5 },
      // Chance alone: fresh weights say nothing that another reward would pay.
      rewards: [{ name: "random", weight: 1 }],
      train: {
        max_steps: 6,
        prompts_per_step: 2,
        num_generations: 2,
        learning_rate: 1e-3,
        save_steps: 2,
      },
      eval: { name: "tiny", questions: 4, folder: this.path("clips") },
      output: { keep_last: 10 },
    };
    for (const [name, section] of Object.entries(change)) {
      const old = base[name];
      // Another data set has other settings.
      const { name: named } = (section ?? {}) as { name?: string };
      const merge =
        (named === undefined || named === "tiny") &&
        typeof section === "object" &&
        section !== null &&
        !Array.isArray(section) &&
        old !== undefined;
      base[name] = merge ? { ...(old as object), ...section } : section;
    }
    return runSchema.parse(base);
  }

  /** Deletes everything. */
  remove(): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}

/** The section `data` of a run on the tiny task. */
export function tinyData({ data }: RunConfig): Extract<RunConfig["data"], { name: "tiny" }> {
  if (data.name !== "tiny") throw new Error(`the run is on ${data.name}`);
  return data;
}

/** Writes a configuration as the file that a command reads. */
export async function writeConfig(path: string, config: RunConfig): Promise<void> {
  // JSON is YAML.
  await writeFile(path, JSON.stringify(config));
}

/** Makes the listener of a console that is no terminal. */
export function plainConsole(write: (text: string) => void): Listener {
  const target = { write, live: false, color: false, columns: () => 80, now: () => 0 };
  return new ConsoleLine(target).listen;
}

/** Events of a run, and a list that records those of some kinds. */
export function recorded(...kinds: string[]): {
  events: Events;
  /** The same for a run, which has events of its own. */
  onEvent: Listener;
  list: { kind: string; data: Record<string, unknown> }[];
} {
  const events = new Events();
  const list: { kind: string; data: Record<string, unknown> }[] = [];
  const onEvent: Listener = ({ kind, data }) => {
    if (kinds.includes(kind)) list.push({ kind, data: { ...data } });
  };
  events.listen(onEvent);
  return { events, onEvent, list };
}
