import { parquetReadObjects } from "hyparquet";
import { DataError } from "../core/errors.ts";

/**
 * Reads the rows of a Parquet file: uncompressed or Snappy, which is what `datasets` and pandas write.
 *
 * Whole numbers come as numbers, binary columns as bytes.
 *
 * @throws {DataError} `bad-parquet` with what the reader says.
 */
export async function readParquet(
  bytes: Uint8Array<ArrayBuffer>,
  file: string,
): Promise<unknown[]> {
  const { buffer, byteOffset, byteLength } = bytes;
  const source = {
    byteLength,
    slice: (start: number, end = byteLength) => buffer.slice(byteOffset + start, byteOffset + end),
  };
  try {
    const rows = await parquetReadObjects({ file: source, utf8: false });
    return rows.map(plain);
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
    throw new DataError("bad-parquet", `${file} cannot be read as Parquet: ${reason}.`, {
      hint: 'Write it again with compression="snappy", or as JSON Lines.',
      cause,
    });
  }
}

/** Returns a value of a column in JSON's terms; bytes stay bytes. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
