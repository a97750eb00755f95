/** How a kernel uses a buffer; `write` and `update` are both `read_write` in WGSL. */
export type Access = "read" | "write" | "update";

/** The type of a kernel parameter. */
export type ParamType = "u32" | "i32" | "f32";

/** Workgroups along x, y and z; each at most 65,535. */
export type Grid = readonly [number, number, number];

/** Values for some of a shader's top-level constants, by name. */
export type Consts = Readonly<Partial<Record<string, number | boolean>>>;

/**
 * A kernel: one WGSL file and everything that the host must know about it.
 *
 * Storage buffers are bindings 0 .. n-1 of group 0 in the order of `buffers`; the uniform struct
 * `Params` is binding n with a dynamic offset, its members 4 bytes each in the order of `params`.
 * The type parameters are the names of buffers, parameters, tunables, constants and libraries.
 */
export interface Kernel<
  B extends string = string,
  P extends string = string,
  T extends string = string,
  C extends string = string,
  L extends string = string,
> {
  /** Kebab-case name, the same as the file's. */
  name: string;
  shader: URL;
  buffers: Readonly<Record<B, Access>>;
  params: Readonly<Record<P, ParamType>>;
  /** Top-level constants that may be set, with every value that a table can select; first = default. */
  tunables: Readonly<Record<T, readonly (number | boolean)[]>>;
  /** Variants of library files that may be selected, such as `{ weight: ["f32", "f16s"] }`. */
  libraries: Readonly<Record<L, readonly string[]>>;
  /** Constants that depend on the model and take any value (head sizes, flags); with an example. */
  constants: Readonly<Record<C, number | boolean>>;
  /** Workgroups for given parameters; may have more than needed, never fewer. */
  grid(
    params: Readonly<Record<P, number>>,
    consts: Readonly<Record<T | C, number | boolean>>,
  ): Grid;
}

/** The value that a launch gives to each buffer of a kernel, by name. */
export type BuffersOf<K extends Kernel, Value> = Readonly<Record<keyof K["buffers"], Value>>;

/** The value that a launch gives to each parameter of a kernel, by name. */
export type ParamsOf<K extends Kernel, Value> = Readonly<Record<keyof K["params"], Value>>;

/** A value for every tunable of a kernel, as a table selects them. */
export type TunablesOf<K extends Kernel> = Readonly<Record<keyof K["tunables"], number | boolean>>;

/** A value for every tunable and constant of a kernel. */
export type AllConstsOf<K extends Kernel> = Readonly<
  Record<keyof K["tunables"] | keyof K["constants"], number | boolean>
>;

/** Values for some of a kernel's tunables and constants; for one of several kernels, of any of them. */
export type ConstsOf<K extends Kernel> = K extends Kernel ? Partial<AllConstsOf<K>> : never;

/** A variant for some of a kernel's libraries. */
export type LibrariesOf<K extends Kernel> = Readonly<Partial<Record<keyof K["libraries"], string>>>;

/** Declares a kernel; the names in the declaration become part of its type. */
export function defineKernel<
  const B extends string,
  const P extends string,
  const T extends string = never,
  const C extends string = never,
  const L extends string = never,
>(
  definition: Pick<Kernel<B, P, T, C, L>, "name" | "shader" | "buffers" | "params" | "grid"> &
    Partial<Pick<Kernel<B, P, T, C, L>, "tunables" | "libraries" | "constants">>,
): Kernel<B, P, T, C, L> {
  const none = { tunables: {}, libraries: {}, constants: {} };
  return { ...none, ...definition } as Kernel<B, P, T, C, L>;
}

/** Returns a value for every constant of a kernel: its defaults, with `consts` laid over them. */
export function kernelConsts<K extends Kernel>(kernel: K, consts: Consts = {}): AllConstsOf<K> {
  const defaults = Object.entries(kernel.tunables).map(([name, values]) => [name, values[0]!]);
  const all: Consts = { ...kernel.constants, ...Object.fromEntries(defaults), ...consts };
  return all as AllConstsOf<K>;
}

const MAX_GROUPS = 65535;

/**
 * Returns a grid of at least `count` workgroups; the shader's index is `wg.x + wg.y *
 * num_workgroups.x`.
 *
 * Above 65,535 the grid becomes two-dimensional, so up to 65,534 workgroups are surplus and must exit.
 */
export function grid1d(count: number): Grid {
  if (count <= MAX_GROUPS) return [count, 1, 1];
  const y = Math.ceil(count / MAX_GROUPS);
  return [Math.ceil(count / y), y, 1];
}

/** Bytes of a kernel's uniform struct, padded to 16 as the uniform address space demands. */
export function paramsBytes(kernel: Kernel): number {
  return Math.max(16, Math.ceil(Object.keys(kernel.params).length / 4) * 16);
}

/** Writes a kernel's parameters at a byte offset of the uniform arena. */
export function writeParams(
  kernel: Kernel,
  view: DataView,
  offset: number,
  values: Record<string, number>,
): void {
  let at = offset;
  for (const [name, type] of Object.entries(kernel.params)) {
    const value = values[name];
    if (value === undefined) throw new Error(`kernel ${kernel.name}: parameter ${name} is missing`);
    if (type === "u32") view.setUint32(at, value, true);
    else if (type === "i32") view.setInt32(at, value, true);
    else view.setFloat32(at, value, true);
    at += 4;
  }
}
