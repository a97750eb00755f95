import { checkRoom, exists, writeFileAtomic } from "#io";
import { CheckpointError } from "../core/errors.ts";
import type { Storage } from "../graph/storage.ts";
import { joinPath } from "../io/path.ts";
import {
  openCheckpoint,
  openSafetensorsFile,
  type TensorStore,
} from "../checkpoint/safetensors.ts";
import { writeSafetensors, type TensorToWrite } from "../checkpoint/safetensors-writer.ts";
import type { Model } from "../model/model.ts";
import { readAdapters } from "../checkpoint/adapter-folder.ts";
import type { BaseModel } from "../model/run-model.ts";
import { writeModel } from "../model/save.ts";
import { ModelWeights } from "../checkpoint/weights.ts";
import { fillStorage } from "../checkpoint/fill-storage.ts";
import type { AdamW } from "../train/optimizer.ts";
import type { Reference } from "../policy/reference.ts";
import { allFinite, allFiniteAgain } from "../checkpoint/finite.ts";
import { STATE_FILE, stateText, type TrainerState } from "./state.ts";

const OPTIMIZER_FILE = "optimizer.safetensors";
const REFERENCE_FILE = "reference.safetensors";

/** The parts of a run whose tensors a checkpoint holds. */
export interface TrainedParts {
  model: Model;
  optimizer: AdamW;
  /** The reference policy where it moves; one that stays is what the run starts from. */
  reference?: Reference | undefined;
}

/** Returns a storage as a safetensors tensor, read from the GPU when its turn comes. */
function tensor(name: string, shape: readonly number[], storage: Storage): TensorToWrite {
  const data = async () => allFinite(name, await storage.download());
  return { name, dtype: "F32", shape, data };
}

/** Bytes of all tensors of a checkpoint, but for those that are carried along unused. */
function tensorBytes({ model: { weights }, optimizer, reference }: TrainedParts): number {
  const { adapters, adapterParameters, distinct, trained } = weights;
  const elements = (list: readonly { shape: readonly number[] }[]) =>
    list.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const own = trained.filter(({ name }) => optimizer.moments.has(name));
  const moved = reference === undefined ? [] : [...reference.tensors()];
  return (
    4 * elements([...(adapters.size > 0 ? adapterParameters : distinct), ...own, ...own, ...moved])
  );
}

/** Writes everything that a run goes on from: the model, the optimizer's moments and the state. */
export async function writeTrainingState(
  folder: string,
  { model, base, optimizer, reference }: TrainedParts & { base: BaseModel },
  state: TrainerState,
): Promise<void> {
  await checkRoom(folder, tensorBytes({ model, optimizer, reference }));
  await writeModel(model, base, folder);
  const shapes = new Map(model.weights.trained.map(({ name, shape }) => [name, shape]));
  const moments = [...optimizer.moments].flatMap(([name, { m, v }]) => [
    tensor(`m.${name}`, shapes.get(name)!, m),
    tensor(`v.${name}`, shapes.get(name)!, v),
  ]);
  const step = { step: String(optimizer.step) };
  await writeSafetensors(joinPath(folder, OPTIMIZER_FILE), moments, step);
  if (reference !== undefined) {
    await writeSafetensors(joinPath(folder, REFERENCE_FILE), reference.tensors());
  }
  await writeFileAtomic(joinPath(folder, STATE_FILE), stateText(state));
}

/**
 * Puts weights, moments and a moving reference back as a checkpoint holds them, bit for bit.
 *
 * @throws {CheckpointError} that names the file and the tensor.
 */
export async function restoreTrainingState(
  folder: string,
  { model, optimizer, reference }: TrainedParts,
): Promise<void> {
  await restoreWeights(folder, model);
  const path = joinPath(folder, OPTIMIZER_FILE);
  await reading(path, async (saved) => {
    for (const [name, { m, v }] of optimizer.moments) {
      await fillStorage(saved, `m.${name}`, m);
      await fillStorage(saved, `v.${name}`, v);
    }
    const step = Number(saved.metadata["step"]);
    if (!Number.isSafeInteger(step)) {
      throw new CheckpointError("bad-state", `${path} does not say how many updates were done.`, {
        hint: "Remove its checkpoint's folder, and --resume goes on from the one before.",
      });
    }
    optimizer.step = step;
  });
  if (reference === undefined) return;
  const moved = joinPath(folder, REFERENCE_FILE);
  if (!(await exists(moved))) {
    throw new CheckpointError("bad-state", `${folder} holds no ${REFERENCE_FILE}.`, {
      hint: "The run was started without train.sync_ref_model: resume it without.",
    });
  }
  await reading(moved, (saved) => reference.restore(saved));
}

async function reading(path: string, work: (store: TensorStore) => Promise<void>): Promise<void> {
  const store = await openSafetensorsFile(path);
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

async function restoreWeights(folder: string, model: Model): Promise<void> {
  const { weights, config } = model;
  const [first] = weights.adapters.values();
  if (first !== undefined) {
    const stored = await readAdapters(folder, model.config, first.a.value.rows);
    for (const layer of new Set([...weights.adapters.keys(), ...stored.keys()])) {
      const [adapter, factors] = [weights.adapters.get(layer), stored.get(layer)];
      if (adapter === undefined || factors === undefined) {
        const where = factors === undefined ? "the run has" : "the checkpoint has";
        throw new CheckpointError(
          "other-adapters",
          `${folder}: only ${where} an adapter on ${layer}.`,
          { hint: "Resume with the target_modules that the run was started with." },
        );
      }
      const what = `${folder}: the adapter on ${layer}`;
      adapter.a.value.upload(allFiniteAgain(what, factors.a));
      adapter.b.value.upload(allFiniteAgain(what, factors.b));
    }
    return;
  }
  const store = await openCheckpoint(folder);
  try {
    for (const stored of store.tensors.keys()) {
      const parameter = weights.parameters.get(config.names.canonical(stored) ?? "");
      if (parameter === undefined) continue;
      if (parameter.value.type === "f32") await fillStorage(store, stored, parameter.value);
      else {
        const values = await store.readF32(stored);
        ModelWeights.write(parameter, allFiniteAgain(`${store.name}: ${stored}`, values));
      }
    }
  } finally {
    await store.close();
  }
}
