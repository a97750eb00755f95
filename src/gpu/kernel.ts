/** How a kernel uses a buffer; `write` and `update` are both `read_write` in WGSL. */
export type Access = "read" | "write" | "update";

/** The type of a kernel parameter. */
export type ParamType = "u32" | "i32" | "f32";

/** Workgroups along x, y and z; each at most 65,535. */
export type Grid = readonly [number, number, number];

/**
 * A kernel: one WGSL file and everything that the host must know about it.
 *
 * Storage buffers are bindings 0 .. n-1 of group 0 in the order of `buffers`; the uniform struct
 * `Params` is binding n with a dynamic offset, its members 4 bytes each in the order of `params`.
 */
export interface Kernel<B extends string = string, P extends string = string> {
  /** Kebab-case name, the same as the file's. */
  name: string;
  shader: URL;
  buffers: Readonly<Record<B, Access>>;
  params: Readonly<Record<P, ParamType>>;
  /** Top-level constants that may be set, with every value that a table can select; first = default. */
  tunables: Readonly<Record<string, readonly (number | boolean)[]>>;
  /** Variants of library files that may be selected, such as `{ weight: ["f32", "f16s"] }`. */
  libraries: Readonly<Record<string, readonly string[]>>;
  /** Constants that depend on the model and take any value (head sizes, flags); with an example. */
  constants: Readonly<Record<string, number | boolean>>;
  /** Workgroups for given parameters; may have more than needed, never fewer. */
  grid: (params: Record<P, number>, consts: Record<string, number | boolean>) => Grid;
}

/** Declares a kernel; the names of buffers and parameters become part of its type. */
export function defineKernel<const B extends string, const P extends string>(
  definition: Pick<Kernel<B, P>, "name" | "shader" | "buffers" | "params" | "grid"> &
    Partial<Pick<Kernel<B, P>, "tunables" | "libraries" | "constants">>,
): Kernel<B, P> {
  return { tunables: {}, libraries: {}, constants: {}, ...definition };
}

/** Default values of all constants of a kernel, with `consts` laid over them. */
export function kernelConsts(
  kernel: Kernel,
  consts: Record<string, number | boolean> = {},
): Record<string, number | boolean> {
  const defaults = Object.entries(kernel.tunables).map(([name, values]) => [name, values[0]!]);
  return { ...kernel.constants, ...Object.fromEntries(defaults), ...consts };
}

const MAX_GROUPS = 65535;

/**
 * A grid of at least `count` workgroups; the shader's index is `wg.x + wg.y * num_workgroups.x`.
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
