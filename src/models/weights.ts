import { f16sScale, packF16s, unpackF16s } from "../core/f16s.ts";
import { Random } from "../core/random.ts";
import type { Device } from "../gpu/device.ts";
import { Storage, type Parameter } from "../graph/storage.ts";
import type { Adapter, Weights } from "../nn/scope.ts";

/** Where one weight comes from: its shape, and its values when they are asked for. */
export interface WeightSource {
  shape: readonly number[];
  read: () => Promise<Float32Array> | Float32Array;
}

/** Adapters to put on linear layers. */
export interface AdapterSettings {
  /** Rank. */
  r: number;
  /** Numerator of the factor, which is alpha / r. */
  alpha: number;
  /** Whether the factor is alpha / sqrt(r) instead (rank-stabilised). Default false. */
  rslora?: boolean;
  /** Chooses layers among the names of all matrices, without `.weight`, in the order of the model. */
  choose: (layers: readonly string[]) => ReadonlySet<string>;
  /** Seed of the first factors. */
  seed: number;
}

/** The factors of an adapter and what they are multiplied by. */
export interface NewAdapter {
  /** [r, inputs] f32. */
  a: Float32Array;
  /** [outputs, r] f32. */
  b: Float32Array;
  scale: number;
  /** Whether the scale is alpha / sqrt(r). Default false. */
  rslora?: boolean;
}

/** Which weights train, the adapters on frozen ones, and how frozen ones are stored. */
export interface Training {
  /** True for weights that receive gradients. */
  trains: (name: string) => boolean;
  /** Adapters that train; none when left out. */
  adapters?: AdapterSettings;
  /** Storage of frozen matrices; trained weights and all vectors are f32. Default f32. */
  storage?: "f32" | "f16s";
}

/** Stream of the random numbers of adapters, apart from those of new weights. */
const ADAPTER_STREAM = 0x10a0;

/** Hears how many of a model's weights are on the device, of how many. */
export type LoadProgress = (done: number, total: number) => void;

/** The weights of a model on the GPU, with gradients for those that train. */
export class ModelWeights implements Weights {
  readonly parameters = new Map<string, Parameter>();
  readonly adapters = new Map<string, Adapter>();
  /** Elements of frozen weights that their storage f16s does not hold exactly. */
  inexact = 0;
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
    onProgress?: LoadProgress,
  ): Promise<ModelWeights> {
    const weights = new ModelWeights(device);
    const shared = new Map<WeightSource, Parameter>();
    for (const [name, source] of sources) {
      let parameter = shared.get(source);
      if (parameter === undefined) {
        parameter = weights.#make(name, source.shape, await source.read(), training);
        shared.set(source, parameter);
      }
      weights.parameters.set(name, parameter);
      onProgress?.(weights.parameters.size, sources.size);
    }
    if (training.adapters !== undefined) weights.#addNewAdapters(training.adapters);
    return weights;
  }

  /** Parameters that train, each once, in the order of the model; adapters after them. */
  get trained(): Parameter[] {
    return [...this.distinct, ...this.adapterParameters].filter(
      (parameter) => parameter.gradient !== undefined,
    );
  }

  /** All parameters of the model itself, each once: a tied head is its embedding. */
  get distinct(): Parameter[] {
    return [...new Set(this.parameters.values())];
  }

  /** The factors of all adapters: A then B, in the order of the model. */
  get adapterParameters(): Parameter[] {
    return [...this.adapters.values()].flatMap(({ a, b }) => [a, b]);
  }

  /** Elements of a list of parameters. */
  static count(parameters: readonly Parameter[]): number {
    return parameters.reduce((sum, { value }) => sum + value.rows * value.width, 0);
  }

  /** The values of a parameter as float32, whatever its storage. */
  static async read({ value, scale }: Parameter): Promise<Float32Array> {
    const stored = await value.download();
    if (value.type === "f32") return stored;
    return unpackF16s(new Uint32Array(stored.buffer), value.width, scale);
  }

  /**
   * Gives a parameter the values that {@link ModelWeights.read} returned, bit for bit.
   *
   * The scale of f16s stays what it was: the values are multiples of it.
   */
  static write({ value, scale }: Parameter, values: Float32Array): void {
    value.upload(value.type === "f32" ? values : packF16s(values, value.width, scale).words);
  }

  /**
   * Puts an adapter on a linear layer.
   *
   * @param trains whether it gets gradients.
   */
  addAdapter(layer: string, { a, b, scale, rslora = false }: NewAdapter, trains: boolean): void {
    const { rows, width } = this.parameters.get(`${layer}.weight`)!.value;
    const rank = a.length / width;
    const factor = (name: string, shape: readonly number[], values: Float32Array) =>
      this.#make(`${layer}.${name}.weight`, shape, values, { trains: () => trains });
    this.adapters.set(layer, {
      a: factor("lora_A", [rank, width], a),
      b: factor("lora_B", [rows, rank], b),
      scale,
      rslora,
    });
  }

  /** Records commands that set all gradients to zero. */
  clearGradients(encoder: GPUCommandEncoder): void {
    for (const { gradient } of this.trained) gradient!.clear(encoder);
  }

  /** Frees everything on the GPU. */
  destroy(): void {
    for (const { value, gradient } of [...this.distinct, ...this.adapterParameters]) {
      value.destroy();
      gradient?.destroy();
    }
  }

  #make(
    name: string,
    shape: readonly number[],
    values: Float32Array,
    training: Training,
  ): Parameter {
    const rows = shape[0]!;
    const width = shape.slice(1).reduce((a, b) => a * b, 1);
    const trains = training.trains(name);
    // Vectors are read by kernels of norms and biases, which take f32.
    if (!trains && training.storage === "f16s" && shape.length > 1) {
      const scale = f16sScale(values);
      const { words, inexact } = packF16s(values, width, scale);
      this.inexact += inexact;
      const value = new Storage(this.#device, name, rows, width, { type: "f16s" });
      value.upload(words);
      return { name, shape, value, scale };
    }
    const value = new Storage(this.#device, name, rows, width);
    value.upload(values);
    if (!trains) return { name, shape, value, scale: 1 };
    const gradient = new Storage(this.#device, `d${name}`, rows, width);
    return { name, shape, value, scale: 1, gradient };
  }

  /** New adapters as PEFT's: A uniform in +-1 / sqrt(inputs) (Kaiming with a = sqrt(5)), B zero. */
  #addNewAdapters({ r, alpha, rslora = false, choose, seed }: AdapterSettings): void {
    const scale = alpha / (rslora ? Math.sqrt(r) : r);
    const matrices = [...this.parameters].filter(
      ([name, { shape }]) => shape.length === 2 && name.endsWith(".weight"),
    );
    const layers = matrices.map(([name]) => name.replace(/\.weight$/, ""));
    const chosen = choose(layers);
    layers.forEach((layer, index) => {
      if (!chosen.has(layer)) return;
      const { rows, width } = matrices[index]![1].value;
      const random = new Random(seed, "init", index, ADAPTER_STREAM);
      const bound = 1 / Math.sqrt(width);
      const a = Float32Array.from({ length: r * width }, () => random.uniform(-bound, bound));
      const b = new Float32Array(rows * r);
      this.addAdapter(layer, { a, b, scale, rslora }, true);
    });
  }
}
