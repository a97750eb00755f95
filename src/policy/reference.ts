import type { HostMatrix } from "../ops/host.ts";
import { Storage, type Parameter } from "../graph/storage.ts";
import type { TensorStore } from "../checkpoint/safetensors.ts";
import type { TensorToWrite } from "../checkpoint/safetensors-writer.ts";
import type { Model } from "../model/model.ts";
import type { PlacedWeight, Weights } from "../network/scope.ts";
import { allFinite, allFiniteAgain } from "../checkpoint/finite.ts";
import { fillStorage, slicesOf } from "../checkpoint/fill-storage.ts";

/** One trained weight as the reference has it. */
interface Copy {
  policy: Parameter;
  /** The values on the GPU, or else on the host. */
  storage?: Storage;
  matrix?: HostMatrix;
}

/**
 * The policy that a KL term compares with: at first the one that training starts from.
 *
 * It has copies of the weights that train and shares the frozen ones. Copies of matrices are on the
 * GPU, or on the host and brought to the GPU one after the other in every pass (`offload`), which
 * gives the same bits. Where adapters train it is the model itself with its adapters switched off.
 */
export class Reference {
  /** The weights of a scoring pass; adapters have to be switched off in it. */
  readonly weights: Weights;
  readonly #copies: readonly Copy[];

  /**
   * Copies the weights that train, as they are now.
   *
   * Host memory: all copied matrices with `offload`, in f32; else none.
   */
  static async of(model: Model, { offload }: { offload: boolean }): Promise<Reference> {
    const { weights } = model;
    if (weights.adapters.size > 0) return new Reference(weights, []);
    const copies = new Map<Parameter, Copy>();
    for (const parameter of weights.trained)
      copies.set(parameter, await copyOf(model, parameter, offload));
    const parameters = new Map<string, PlacedWeight>();
    for (const [name, parameter] of weights.parameters) {
      const copy = copies.get(parameter);
      const own = copy?.matrix ?? (copy?.storage && frozen(parameter, copy.storage));
      parameters.set(name, own ?? parameter);
    }
    return new Reference({ parameters, adapters: new Map() }, [...copies.values()]);
  }

  private constructor(weights: Weights, copies: readonly Copy[]) {
    this.weights = weights;
    this.#copies = copies;
  }

  /**
   * Moves the reference towards the policy: alpha of the policy and 1 - alpha of what it was.
   *
   * Numerics: float64, rounded to f32.
   *
   * Source: TRL 1.16 `SyncRefModelCallback`; Gorbatovski et al. 2024 (TR-DPO).
   */
  async synchronise(alpha: number): Promise<void> {
    for (const { policy, storage, matrix } of this.#copies) {
      const { width } = policy.value;
      for (const { first, count } of slicesOf(policy.value)) {
        const now = await policy.value.download(count, first);
        const own =
          matrix?.values.subarray(first * width, (first + count) * width) ??
          (await storage!.download(count, first));
        for (let i = 0; i < own.length; i++) own[i] = alpha * now[i]! + (1 - alpha) * own[i]!;
        storage?.upload(own, first);
      }
    }
  }

  /**
   * The copies for a checkpoint, under the names of the weights, read when their turn comes.
   *
   * @throws {CheckpointError} `non-finite` when a copy is read that is not finite.
   */
  tensors(): TensorToWrite[] {
    return this.#copies.map(({ policy: { name, shape }, storage, matrix }) => ({
      ...{ name, shape, dtype: "F32" },
      data: async () =>
        allFinite(`reference ${name}`, matrix?.values ?? (await storage!.download())),
    }));
  }

  /**
   * Gives the copies the values that `tensors` wrote, bit for bit.
   *
   * @throws {CheckpointError} that names the file and the tensor, such as `non-finite`.
   */
  async restore(saved: TensorStore): Promise<void> {
    for (const { policy, storage, matrix } of this.#copies) {
      if (storage !== undefined) await fillStorage(saved, policy.name, storage);
      if (matrix === undefined) continue;
      const values = await saved.readF32(policy.name);
      matrix.values.set(allFiniteAgain(`${saved.name}: ${policy.name}`, values));
    }
  }

  /** Frees the copies; what is shared with the model stays. */
  destroy(): void {
    for (const { storage } of this.#copies) storage?.destroy();
  }
}

function frozen({ name, shape }: Parameter, value: Storage): Parameter {
  return { name, shape, value, scale: 1 };
}

async function copyOf({ device }: Model, policy: Parameter, offload: boolean): Promise<Copy> {
  const { name, shape, value } = policy;
  const { rows, width } = value;
  // Vectors are small, and every one of them would cut the pass once more.
  if (offload && shape.length > 1) {
    return { policy, matrix: { name, rows, width, values: await value.download() } };
  }
  const storage = new Storage(device, `reference ${name}`, rows, width);
  device.submit((encoder) => {
    value.chunks.forEach((chunk, i) => {
      encoder.copyBufferToBuffer(chunk, 0, storage.chunks[i]!, 0, chunk.size);
    });
  });
  return { policy, storage };
}
