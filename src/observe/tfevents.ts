/**
 * TensorBoard event files: TFRecord frames around `tensorflow.Event` messages, which TensorBoard
 * and `wandb sync` read. Only scalars are written.
 *
 * Source: tensorflow/core/lib/io/record_writer.cc, core/util/event.proto, framework/summary.proto.
 */
import { maskedCrc32c } from "./crc32c.ts";

const encoder = new TextEncoder();

/** Protocol buffer wire types that are used here. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Collects the fields of one protocol buffer message. */
class Message {
  readonly #bytes: number[] = [];

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes.push(rest);
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type);
  }

  integer(field: number, value: number): this {
    this.#tag(field, VARINT);
    this.#varint(value);
    return this;
  }

  double(field: number, value: number): this {
    this.#tag(field, FIXED64);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#bytes.push(...bytes);
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, FIXED32);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#bytes.push(...bytes);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, BYTES);
    this.#varint(value.length);
    for (const byte of value) this.#bytes.push(byte);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** Frames one record: u64 length, its checksum, the payload, its checksum; little endian. */
function tfRecord(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(payload.length + 16);
  const view = new DataView(frame.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint32(8, maskedCrc32c(frame.subarray(0, 8)), true);
  frame.set(payload, 12);
  view.setUint32(12 + payload.length, maskedCrc32c(payload), true);
  return frame;
}

/**
 * Returns the record with which every event file starts.
 *
 * @param wallTime - seconds since 1970.
 */
export function tfFileVersion(wallTime: number): Uint8Array {
  return tfRecord(new Message().double(1, wallTime).text(3, "brain.Event:2").finish());
}

/**
 * Returns the record of one step's scalars, stored as float32.
 *
 * @param wallTime - seconds since 1970.
 * @param step - the step on TensorBoard's axis, a count below 2^53.
 */
export function tfScalars(
  wallTime: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  const summary = new Message();
  for (const [tag, value] of Object.entries(scalars)) {
    summary.bytes(1, new Message().text(1, tag).float(2, value).finish());
  }
  const event = new Message().double(1, wallTime);
  // proto3 leaves out a field that holds its default.
  if (step !== 0) event.integer(2, step);
  return tfRecord(event.bytes(5, summary.finish()).finish());
}
