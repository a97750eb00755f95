/** The parts of an error besides its message. */
export interface ErrorDetails {
  /** Advice for the reader, as one imperative sentence. */
  hint?: string;
  /** The error below this one. */
  cause?: unknown;
}

/** The base of every error that aubade raises on purpose: what happened, where, and what to do. */
export class AubadeError extends Error {
  /** A stable kebab-case name that programs can branch on. */
  readonly code: string;
  /** Advice for the reader, when there is any. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(details.hint === undefined ? message : `${message} ${details.hint}`, {
      cause: details.cause,
    });
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
  }
}

/** A run's configuration is wrong: names the key, the value and the line. */
export class ConfigError extends AubadeError {}

/** A row, a file or a clip is wrong: names the file and the row. */
export class DataError extends AubadeError {}

/** Shapes or dtypes do not fit: names the op, what was expected and what came. */
export class ShapeError extends AubadeError {}

/** The adapter lacks something, ran out of memory or was lost. */
export class DeviceError extends AubadeError {}

/** A checkpoint or run folder cannot be read or written: names the file and the tensor. */
export class CheckpointError extends AubadeError {}

/**
 * Checks an invariant of aubade itself.
 *
 * @throws {Error} when `condition` is false: a defect in aubade, never a user's mistake.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`aubade has a defect: ${message}`);
}
