import {
  AubadeError,
  CheckpointError,
  ConfigError,
  DataError,
  DeviceError,
  ShapeError,
} from "./errors.ts";

const CLASSES = { AubadeError, CheckpointError, ConfigError, DataError, DeviceError, ShapeError };

/** An error as it travels between threads, which know errors but not their classes. */
export interface PackedError {
  /** Class of an error of aubade's own; null for another, which travels as it is. */
  kind: keyof typeof CLASSES | null;
  code: string;
  message: string;
  hint: string | undefined;
  /** The error below this one, or the error itself where it is not aubade's own. */
  cause: PackedError | Error | string | undefined;
}

/** Makes a copy of an error that another thread can be sent. */
export function packError(error: unknown): PackedError {
  if (error instanceof AubadeError) {
    const { code, hint } = error;
    const message = hint === undefined ? error.message : error.message.slice(0, -hint.length - 1);
    const kind = error.name in CLASSES ? (error.name as keyof typeof CLASSES) : "AubadeError";
    return { kind, code, message, hint, cause: packCause(error.cause) };
  }
  return { kind: null, code: "", message: "", hint: undefined, cause: plain(error) };
}

/** Makes the error again, of its class, that another thread packed. */
export function unpackError({ kind, code, message, hint, cause }: PackedError): unknown {
  if (kind === null) return cause;
  const below = isPacked(cause) ? unpackError(cause) : cause;
  return new CLASSES[kind](code, message, {
    ...(hint !== undefined && { hint }),
    ...(below !== undefined && { cause: below }),
  });
}

function packCause(cause: unknown): PackedError["cause"] {
  return cause === undefined || !(cause instanceof AubadeError) ? plain(cause) : packError(cause);
}

function isPacked(cause: PackedError["cause"]): cause is PackedError {
  return typeof cause === "object" && "kind" in cause;
}

/** Errors of other programs may hold what cannot travel; their words and place can. */
function plain(cause: unknown): Error | string | undefined {
  if (cause === undefined) return undefined;
  if (!(cause instanceof Error)) return typeof cause === "string" ? cause : JSON.stringify(cause);
  const copy = new Error(cause.message);
  copy.stack = cause.stack;
  return copy;
}
