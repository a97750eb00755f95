import { ConfigError, DeviceError } from "../core/errors.ts";
import { STORAGE_TYPES, type StorageName } from "../core/storage-types.ts";
import { Random } from "../core/random.ts";
import type { Device } from "../gpu/device.ts";
import { Storage, storageName, type Parameter } from "../graph/storage.ts";
import type { Adapter, Weights } from "../network/scope.ts";
import { staysF32, takesAdapter, type TensorSpec, type TensorSpecs } from "./tensor-specs.ts";
import { matrixShape, sourceBytes, type WeightSource } from "./weight-source.ts";
import { type StreamOptions, WeightStream } from "./weight-stream.ts";

/** Adapters to put on linear layers. */
export interface AdapterSettings {
  /** Rank. */
  r: number;
  /** Numerator of the factor, which is alpha / r. */
  alpha: number;
  /** True when the factor is alpha / sqrt(r) instead (rank-stabilised). Default false. */
  rslora?: boolean;
  /** Chooses among all linear layers, by their names without `.weight`, in the order of the model. */
  choose: (layers: TensorSpecs) => ReadonlySet<string>;
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
  /** True when the scale is alpha / sqrt(r). Default false. */
  rslora?: boolean;
}

/** Which weights train, the adapters on frozen ones, and how frozen ones are stored. */
export interface Training {
  /** True for weights that receive gradients. */
  trains: (name: string, spec: TensorSpec) => boolean;
  /** Adapters that train; none when left out. */
  adapters?: AdapterSettings;
  /** Storage of frozen matrices; trained weights and those of `staysF32` are f32. Default f32. */
  storage?: StorageName;
}

/** Stream of the random numbers of adapters, apart from those of new weights. */
const ADAPTER_STREAM = 0x10a0;

/** Hears how many bytes of a checkpoint are on the device, of how many: 0 first, all of them last. */
export type LoadProgress = (done: number, total: number) => void;

/** How weights are loaded. */
export interface WeightLoading extends StreamOptions {
  onProgress?: LoadProgress | undefined;
}

const GIB = 2 ** 30;

/** The weights of a model on the GPU, with gradients for those that train. */
export class ModelWeights implements Weights {
  readonly parameters = new Map<string, Parameter>();
  readonly adapters = new Map<string, Adapter>();
  /** Elements of frozen weights that their storage type does not hold exactly. */
  inexact = 0;
  readonly #device: Device;

  private constructor(device: Device) {
    this.#device = device;
  }

  /**
   * Streams weights to the GPU; names that share a source (a tied head) share the parameter.
   *
   * Room for all of them is made before the first is read. When it fails, all of it is freed.
   *
   * @param sources canonical names in the order of the model.
   * @param tensors what each of them is.
   * @throws {DeviceError} `out-of-memory` that names the weight and says what the model needs.
   */
  static async load(
    device: Device,
    sources: ReadonlyMap<string, WeightSource>,
    tensors: TensorSpecs,
    training: Training = { trains: () => false },
    { onProgress, ...stream }: WeightLoading = {},
  ): Promise<ModelWeights> {
    const weights = new ModelWeights(device);
    try {
      const places = await weights.#makeRoom(sources, tensors, training);
      if (training.adapters !== undefined) weights.#addNewAdapters(tensors, training.adapters);
      let done = 0;
      const total = [...places.keys()].reduce((sum, source) => sum + sourceBytes(source), 0);
      onProgress?.(done, total);
      const sender = new WeightStream(device, stream, (bytes) => {
        done += bytes;
        onProgress?.(done, total);
      });
      for (const [source, parameter] of places) {
        const { scale, inexact } = await sender.send(source, parameter.value);
        parameter.scale = scale;
        weights.inexact += inexact;
      }
      await sender.finish();
      return weights;
    } catch (error) {
      weights.destroy();
      throw error;
    }
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
    const type = STORAGE_TYPES[storageName(value.type)];
    return type.unpack(new Uint32Array(stored.buffer), value.width, scale);
  }

  /**
   * Gives a parameter the values that {@link ModelWeights.read} returned, bit for bit.
   *
   * A scale stays what it was: the values are multiples of it.
   */
  static write({ value, scale }: Parameter, values: Float32Array): void {
    const type = STORAGE_TYPES[storageName(value.type)];
    value.upload(type.pack(values, value.width, scale).words);
  }

  /**
   * Puts an adapter on a linear layer.
   *
   * @param trains whether it gets gradients.
   */
  addAdapter(layer: string, { a, b, scale, rslora = false }: NewAdapter, trains: boolean): void {
    const { rows, width } = this.parameters.get(`${layer}.weight`)!.value;
    const rank = a.length / width;
    const factor = (name: string, shape: readonly number[], values: Float32Array) => {
      const made = this.#make(`${layer}.${name}.weight`, shape, trains);
      made.value.upload(values);
      return made;
    };
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

  /** Makes the parameters, without values; a source has one, however many names it has. */
  async #makeRoom(
    sources: ReadonlyMap<string, WeightSource>,
    tensors: TensorSpecs,
    training: Training,
  ): Promise<Map<WeightSource, Parameter>> {
    const { raw } = this.#device;
    const places = new Map<WeightSource, Parameter>();
    const refusals: Promise<GPUError | null>[] = [];
    for (const [name, source] of sources) {
      let parameter = places.get(source);
      if (parameter === undefined) {
        raw.pushErrorScope("out-of-memory");
        try {
          const spec = tensors.get(name)!;
          const trains = training.trains(name, spec);
          const asked = !trains && !staysF32(spec);
          parameter = this.#make(name, source.shape, trains, asked ? training.storage : "f32");
        } finally {
          // A device that was lost answers nothing; the first upload says so.
          refusals.push(raw.popErrorScope().catch(() => null));
        }
        places.set(source, parameter);
      }
      this.parameters.set(name, parameter);
    }
    const refused = (await Promise.all(refusals)).findIndex((error) => error !== null);
    if (refused >= 0) throw this.#noRoom([...places.values()][refused]!);
    return places;
  }

  #noRoom({ name, value, gradient }: Parameter): DeviceError {
    const gib = (storages: readonly (Storage | undefined)[]) =>
      `${(storages.reduce((sum, each) => sum + (each?.bytes ?? 0), 0) / GIB).toFixed(2)} GiB`;
    const all = this.distinct;
    const weights = gib(all.map((each) => each.value));
    const gradients = gib(all.map((each) => each.gradient));
    return new DeviceError(
      "out-of-memory",
      `the device has no room for ${name} (${gib([value, gradient])}): the model's weights take ` +
        `${weights}, and the gradients of those that train ${gradients}.`,
      {
        hint:
          "Store frozen weights in f16s, train adapters instead of weights, or use a smaller model " +
          "or a larger GPU.",
      },
    );
  }

  #make(
    name: string,
    shape: readonly number[],
    trains: boolean,
    type: StorageName = "f32",
  ): Parameter {
    const { rows, width } = matrixShape(shape);
    const value = new Storage(this.#device, name, rows, width, { type });
    if (!trains) return { name, shape, value, scale: 1 };
    const gradient = new Storage(this.#device, `d${name}`, rows, width);
    return { name, shape, value, scale: 1, gradient };
  }

  /** New adapters as PEFT's: A uniform in +-1 / sqrt(inputs) (Kaiming with a = sqrt(5)), B zero. */
  #addNewAdapters(
    tensors: TensorSpecs,
    { r, alpha, rslora = false, choose, seed }: AdapterSettings,
  ): void {
    const scale = alpha / (rslora ? Math.sqrt(r) : r);
    const matrices = [...this.parameters].filter(
      ([name, { shape }]) => shape.length === 2 && name.endsWith(".weight"),
    );
    const layerOf = (name: string) => name.replace(/\.weight$/, "");
    const linear = [...tensors].filter((entry) => takesAdapter(...entry));
    const chosen = choose(new Map(linear.map(([name, spec]) => [layerOf(name), spec])));
    // Streams are numbered over all matrices, tables too.
    matrices.forEach(([name, parameter], index) => {
      const layer = layerOf(name);
      if (!chosen.has(layer)) return;
      const { rows, width } = parameter.value;
      if (r > Math.max(rows, width)) {
        throw new ConfigError(
          "rank-too-large",
          `train.lora.r is ${r}; ${layer} is a matrix of ${rows} x ${width}, whose rank is at most ` +
            `${Math.min(rows, width)}.`,
          { hint: `Set train.lora.r to at most ${Math.min(rows, width)}; 8 to 64 is usual.` },
        );
      }
      const random = new Random(seed, "init", index, ADAPTER_STREAM);
      const bound = 1 / Math.sqrt(width);
      const a = Float32Array.from({ length: r * width }, () => random.uniform(-bound, bound));
      const b = new Float32Array(rows * r);
      this.addAdapter(layer, { a, b, scale, rslora }, true);
    });
  }
}
