import type { Device } from "../gpu/device.ts";
import { Storage, type Parameter } from "../graph/storage.ts";
import type { Adapter, Weights } from "../nn/scope.ts";

/** Where one weight comes from: its shape, and its values when they are asked for. */
export interface WeightSource {
  shape: readonly number[];
  read: () => Promise<Float32Array> | Float32Array;
}

/** Which weights train, and the adapters to put on frozen ones. */
export interface Training {
  /** True for weights that receive gradients. */
  trains: (name: string) => boolean;
}

/** The weights of a model on the GPU, in f32, with gradients for those that train. */
export class ModelWeights implements Weights {
  readonly parameters = new Map<string, Parameter>();
  readonly adapters = new Map<string, Adapter>();
  readonly #device: Device;

  private constructor(device: Device) {
    this.#device = device;
  }

  /**
   * Uploads weights one at a time; names that share a source (a tied head) share the parameter.
   *
   * @param sources canonical names in the order of the model.
   */
  static async load(
    device: Device,
    sources: ReadonlyMap<string, WeightSource>,
    training: Training = { trains: () => false },
  ): Promise<ModelWeights> {
    const weights = new ModelWeights(device);
    const shared = new Map<WeightSource, Parameter>();
    for (const [name, source] of sources) {
      const known = shared.get(source);
      const parameter = known ?? weights.#make(name, source.shape, training.trains(name));
      if (known === undefined) parameter.value.upload(await source.read());
      shared.set(source, parameter);
      weights.parameters.set(name, parameter);
    }
    return weights;
  }

  /** Parameters that train, each once, in the order of the model. */
  get trained(): Parameter[] {
    return this.distinct.filter((parameter) => parameter.gradient !== undefined);
  }

  /** All parameters of the model itself, each once: a tied head is its embedding. */
  get distinct(): Parameter[] {
    return [...new Set(this.parameters.values())];
  }

  /** Elements of a list of parameters. */
  static count(parameters: readonly Parameter[]): number {
    return parameters.reduce((sum, { value }) => sum + value.rows * value.width, 0);
  }

  /** Records commands that set all gradients to zero. */
  clearGradients(encoder: GPUCommandEncoder): void {
    for (const { gradient } of this.trained) gradient!.clear(encoder);
  }

  /** Frees everything on the GPU. */
  destroy(): void {
    for (const { value, gradient } of this.distinct) {
      value.destroy();
      gradient?.destroy();
    }
  }

  #make(name: string, shape: readonly number[], trains: boolean): Parameter {
    const rows = shape[0]!;
    const width = shape.slice(1).reduce((a, b) => a * b, 1);
    const value = new Storage(this.#device, name, rows, width);
    if (!trains) return { name, shape, value, scale: 1 };
    const gradient = new Storage(this.#device, `d${name}`, rows, width);
    return { name, shape, value, scale: 1, gradient };
  }
}
