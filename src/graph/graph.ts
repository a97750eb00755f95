import { assert } from "../core/errors.ts";
import type { DeviceProfile } from "../gpu/capabilities.ts";
import type { BuffersOf, ConstsOf, Kernel, LibrariesOf, ParamsOf } from "../gpu/kernel.ts";
import { Extent, type Dim, type Environment, type Value } from "./extent.ts";
import { STORAGE_TYPES } from "../core/storage-types.ts";
import type { ElementType, Parameter, Storage } from "./storage.ts";

/** The place of a tensor's bytes: given by the host, kept outside the plan, or planned. */
export type TensorKind = "input" | "stored" | "value";

/** A matrix in a graph: a first dimension of rows and a fixed width. */
export interface Tensor {
  readonly id: number;
  readonly name: string;
  readonly kind: TensorKind;
  readonly type: ElementType;
  readonly rows: Dim;
  readonly width: number;
  /** The tensor whose bytes this one views under another row length. */
  readonly viewOf?: Tensor;
  /** For `stored`: the buffers. */
  readonly storage?: Storage;
  /** For parameters: what the tensor stands for. */
  readonly parameter?: Parameter;
}

/** A binding of an op's dispatch: one chunk of a tensor, optionally from a row on. */
export interface ChunkBinding {
  tensor: Tensor;
  chunk: number;
  /** First row bound within the chunk; its byte offset must be a multiple of 256. */
  firstRow?: number;
}

/** One kernel launch of an op: a value for every buffer and parameter that the kernel names. */
export interface Dispatch<K extends Kernel = Kernel> {
  kernel: K;
  buffers: BuffersOf<K, ChunkBinding>;
  params: ParamsOf<K, Value>;
  /** Values of top-level constants; those left out are chosen for the device or are the defaults. */
  consts?: ConstsOf<K>;
  /** Variant of each library that the shader has in several. */
  library?: LibrariesOf<K>;
  /** Multiply-adds times two, for the counters and for cutting submits. */
  flops?: (environment: Environment) => number;
}

/** A step amid the launches that the host computes from one tensor's rows. */
export interface HostStep {
  name: string;
  input: Tensor;
  output: Tensor;
}

/** A step amid the launches at which a tensor gets values that the host keeps. */
export interface Fetch {
  /** Read anew in every replay, so that the host may change them in between. */
  values: Float32Array;
  output: Tensor;
}

/** The services that an op may use while it is lowered. */
export interface Lowering {
  /** Adds a launch to the plan. */
  dispatch<K extends Kernel>(dispatch: Dispatch<K>): void;
  /** Adds a step that the host computes. */
  host(step: HostStep): void;
  /** Adds an upload of what the host keeps. */
  fetch(step: Fetch): void;
  /** The chunks of a tensor: index, first row and the rows that a replay has in it. */
  chunks(tensor: Tensor): Chunks;
  /** The device, for the choice of kernels and their tunables. */
  readonly profile: DeviceProfile;
}

/** One chunk of a tensor. */
export interface Chunk {
  index: number;
  /** First row of the chunk in the tensor. */
  first: number;
  /** Rows that the chunk can hold. */
  capacity: number;
  /** Rows in the chunk at replay. */
  rows: Value;
}

/** The chunks of a tensor, in order; a tensor of no rows has one too. */
export type Chunks = readonly [Chunk, ...Chunk[]];

/** The gradient side of a differentiation, as ops see it. */
export interface Tape {
  readonly graph: Graph;
  /** True when a gradient of this tensor is wanted. */
  needs(tensor: Tensor): boolean;
  /** Adds a contribution to the gradient of a tensor. */
  add(tensor: Tensor, gradient: Tensor): void;
  /** The gradient that an output of the op has received. */
  gradient(output: Tensor): Tensor;
  /** The gradients of several outputs; undefined where none was received. */
  gradients(outputs: readonly Tensor[]): (Tensor | undefined)[];
  /** The gradient buffer of a parameter, into which ops accumulate in place. */
  parameterGradient(tensor: Tensor): Tensor;
}

/**
 * The operand of an op under one name: a tensor, several of them, or none if it may be left out.
 */
export type Operand = Tensor | readonly Tensor[] | undefined;

/** The inputs or the outputs of an op, by name. */
export type Operands = Readonly<Record<string, Operand>>;

/** One tensor under each of the names. */
export type Tensors<Name extends string> = Readonly<Record<Name, Tensor>>;

/** Returns the tensors of operands, in the order in which the names were given. */
export function tensorsOf(operands: Operands): Tensor[] {
  return Object.values(operands)
    .flat()
    .filter((tensor) => tensor !== undefined);
}

/** Operands with other tensors under the same names. */
export function mapTensors(operands: Operands, change: (tensor: Tensor) => Tensor): Operands {
  const changed = (operand: Operand): Operand => {
    if (operand === undefined) return undefined;
    return "id" in operand ? change(operand) : operand.map(change);
  };
  return Object.fromEntries(
    Object.entries(operands).map(([name, operand]) => [name, changed(operand)]),
  );
}

/**
 * A differentiable operation: how it becomes kernel launches, and its backward rule.
 *
 * Both find their tensors in the operands alone: a pass over the graph may have put others in the
 * place of those that the op was applied to.
 */
export interface Op<In extends Operands = Operands, Out extends Operands = Operands> {
  name: string;
  lower(inputs: In, outputs: Out, to: Lowering): void;
  /** Adds the ops that turn gradients of the outputs into gradients of the inputs. */
  backward?(inputs: In, outputs: Out, tape: Tape): void;
}

/** An op applied to tensors. */
export interface Node {
  op: Op;
  inputs: Operands;
  outputs: Operands;
}

/** The trace of a model: tensors and the ops between them, in the order of their addition. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs = new Map<string, Tensor>();
  readonly kept = new Map<string, Tensor>();
  /** Tensors inside layers, by name: `hidden.3` is the residual stream after layer 3. */
  readonly annotations = new Map<string, Tensor>();
  #count = 0;
  readonly #stored = new Map<Storage, Tensor>();

  /** A tensor that the host writes before a replay. */
  input(name: string, rows: Dim, width: number, type: ElementType = "f32"): Tensor {
    assert(!this.inputs.has(name), `the graph already has an input ${name}`);
    const tensor = this.#make({ name, kind: "input", type, rows, width });
    this.inputs.set(name, tensor);
    return tensor;
  }

  /** A tensor over buffers that live outside the plan; `rows` may be an extent of a cache. */
  stored(storage: Storage, rows: Dim = storage.rows): Tensor {
    const known = this.#stored.get(storage);
    if (known !== undefined) return known;
    const { label: name, type, width } = storage;
    const tensor = this.#make({ name, kind: "stored", type, rows, width, storage });
    this.#stored.set(storage, tensor);
    return tensor;
  }

  /** The tensor of a parameter. */
  parameter(parameter: Parameter): Tensor {
    const known = this.#stored.get(parameter.value);
    if (known !== undefined) {
      // A tensor that lost its parameter would be differentiated as a constant.
      assert(
        known.parameter === parameter,
        `${parameter.name} is already stored under another name`,
      );
      return known;
    }
    const { value: storage, name } = parameter;
    const { type, width, rows } = storage;
    const tensor = this.#make({ name, kind: "stored", type, rows, width, storage, parameter });
    this.#stored.set(storage, tensor);
    return tensor;
  }

  /** A planned tensor, to be named as an output of `add`. */
  value(name: string, rows: Dim, width: number, type: ElementType = "f32"): Tensor {
    return this.#make({ name, kind: "value", type, rows, width });
  }

  /** The same bytes with rows `factor` times as long (and so as many times fewer). */
  reshape(tensor: Tensor, width: number): Tensor {
    if (width === tensor.width) return tensor;
    const plain = tensor.type === "u32" || STORAGE_TYPES[tensor.type].plain;
    assert(plain, `${tensor.name} has padded rows, which cannot be cut elsewhere`);
    const root = tensor.viewOf ?? tensor;
    const { name, kind, type } = tensor;
    const rows =
      tensor.rows instanceof Extent
        ? new Extent(
            tensor.rows.name,
            tensor.rows.widestRowBytes,
            (tensor.rows.scale * tensor.width) / width,
          )
        : (tensor.rows * tensor.width) / width;
    const view = { name: `${name}:${width}`, kind, type, rows, width, viewOf: root };
    return this.#make(root.parameter === undefined ? view : { ...view, parameter: root.parameter });
  }

  /** Applies an op: it reads the inputs and writes the outputs. */
  add<In extends Operands, Out extends Operands>(
    op: Op<In, Out>,
    inputs: NoInfer<In>,
    outputs: NoInfer<Out>,
  ): void {
    this.nodes.push({ op, inputs, outputs });
  }

  /** Marks a tensor to be readable by name after a replay. */
  keep(name: string, tensor: Tensor): Tensor {
    this.kept.set(name, tensor);
    return tensor;
  }

  /** Names a tensor for a later `keep`: layers annotate what a caller may want to read. */
  annotate(name: string, tensor: Tensor): void {
    this.annotations.set(name, tensor);
  }

  #make(fields: Omit<Tensor, "id">): Tensor {
    return { id: this.#count++, ...fields };
  }
}

/** Returns the tensor that owns the bytes. */
export function rootOf(tensor: Tensor): Tensor {
  return tensor.viewOf ?? tensor;
}
