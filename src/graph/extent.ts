import { assert, ShapeError } from "../core/errors.ts";

/** The sizes of a replay: how large each extent is, and the runtime scalars by name. */
export interface Environment {
  sizes: Readonly<Record<string, number>>;
  scalars: Readonly<Record<string, number>>;
}

/**
 * A size known only at replay: `scale` times the value of a named extent (tokens, cells, rows ...).
 *
 * `widestRowBytes` bounds the bytes that any tensor holds per unit of the extent, so that all
 * tensors over one extent are cut into chunks at the same places.
 */
export class Extent {
  readonly name: string;
  readonly scale: number;
  readonly widestRowBytes: number;

  constructor(name: string, widestRowBytes: number, scale = 1) {
    this.name = name;
    this.widestRowBytes = widestRowBytes;
    this.scale = scale;
  }

  /** The dimension `factor` times as large, over the same extent. */
  times(factor: number): Extent {
    return new Extent(this.name, this.widestRowBytes, this.scale * factor);
  }

  /** The dimension `divisor` times as small. */
  over(divisor: number): Extent {
    assert(
      this.scale % divisor === 0,
      `extent ${this.name} x ${this.scale} is not a multiple of ${divisor}`,
    );
    return this.times(1 / divisor);
  }

  /** Units of the extent (before `scale`) that fit one chunk of at most `chunkBytes`. */
  unitsPerChunk(chunkBytes: number): number {
    const units = Math.floor(chunkBytes / this.widestRowBytes);
    if (units < 1) {
      throw new ShapeError(
        "row-too-wide",
        `one row of extent ${this.name} takes ${this.widestRowBytes} bytes, one binding of this ` +
          `adapter holds ${chunkBytes}.`,
      );
    }
    return units >= 64 ? units - (units % 64) : units;
  }
}

/** One dimension of a shape: fixed by the model, or known at replay. */
export type Dim = number | Extent;

/** A kernel parameter: fixed, a dimension, or computed from the environment at replay. */
export type Value = number | Extent | ((environment: Environment) => number);

/** Returns a runtime scalar, given by name at every replay. */
export function scalar(name: string): Value {
  return ({ scalars }) => {
    const value = scalars[name];
    if (value === undefined) {
      throw new ShapeError("missing-scalar", `the replay has no scalar ${name}.`);
    }
    return value;
  };
}

/**
 * Returns the value of a dimension or parameter in an environment.
 *
 * @throws {ShapeError} `missing-size` or `missing-scalar` when the environment lacks it.
 */
export function evaluate(value: Value, environment: Environment): number {
  if (typeof value === "number") return value;
  if (typeof value === "function") return value(environment);
  const size = environment.sizes[value.name];
  if (size === undefined) {
    throw new ShapeError("missing-size", `no size was given for extent ${value.name}.`, {
      hint: `Given were ${Object.keys(environment.sizes).join(", ") || "none"}.`,
    });
  }
  return size * value.scale;
}
