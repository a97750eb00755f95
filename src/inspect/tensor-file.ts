import { DataError } from "../core/errors.ts";
import type { TensorStore } from "../checkpoint/safetensors.ts";

/** Named tensors of a file, read as what they mean. */
export class TensorFile {
  readonly #store: TensorStore;

  constructor(store: TensorStore) {
    this.#store = store;
  }

  /** The file's name in messages. */
  get name(): string {
    return this.#store.name;
  }

  /** The shape of a tensor; undefined when the file lacks it. */
  shape(name: string): readonly number[] | undefined {
    return this.#store.tensors.get(name)?.shape;
  }

  /**
   * Reads a tensor of whole numbers: BOOL, U8, I32, I64.
   *
   * @throws {DataError} `bad-tensor` for another dtype or a number beyond 32 bits.
   */
  async integers(name: string): Promise<Int32Array<ArrayBuffer>> {
    const { dtype } = this.#store.tensors.get(name)!;
    const bytes = await this.#store.read(name);
    if (dtype === "I32") return new Int32Array(bytes.buffer);
    if (dtype === "BOOL" || dtype === "U8") return Int32Array.from(bytes);
    if (dtype === "I64") {
      return Int32Array.from(new BigInt64Array(bytes.buffer), (value) => {
        if (BigInt.asIntN(32, value) === value) return Number(value);
        throw this.error(name, `holds ${value}, which is no id or count`);
      });
    }
    throw this.error(name, `is ${dtype}, not I64`);
  }

  /**
   * Reads a tensor of F32, F16, BF16 or whole numbers as float32.
   *
   * @throws {DataError} as {@link integers}.
   */
  async floats(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { dtype } = this.#store.tensors.get(name)!;
    if (dtype === "F32" || dtype === "F16" || dtype === "BF16") return this.#store.readF32(name);
    return Float32Array.from(await this.integers(name));
  }

  /** An error about one tensor of the file. */
  error(name: string, what: string): DataError {
    return new DataError("bad-tensor", `${this.name}: ${name} ${what}.`, {
      hint: "Give the tensors that the model's Hugging Face processor returns.",
    });
  }
}
