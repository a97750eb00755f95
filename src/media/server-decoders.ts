/*
 * FFmpeg's decoders for Node, by way of @mediabunny/server (an optional dependency of 170 MB).
 *
 * mediabunny 1.61 queues the calls of a custom decoder on one promise chain; a decode that throws
 * leaves that chain rejected, and the later close() becomes an unhandled rejection that ends the
 * process. So every decoder is guarded: its first failure goes to onError, later calls do nothing.
 * FFmpeg also conceals damage: it hands out a picture patched from its neighbours, marked in
 * decode_error_flags. Such a picture is an error here, never a silent frame.
 */
import { CustomAudioDecoder, CustomVideoDecoder } from "mediabunny";
import { DataError } from "../core/errors.ts";

let registered: Promise<void> | undefined;

/**
 * Makes FFmpeg's decoders known to mediabunny, once per process.
 *
 * @param quiet - Lowers FFmpeg's log level, called after it is loaded.
 * @throws {DataError} `media-decoder-missing` when @mediabunny/server is not installed.
 */
export function registerServerDecoders(quiet: () => Promise<void>): Promise<void> {
  registered ??= load(quiet).catch((error: unknown) => {
    registered = undefined;
    throw error;
  });
  return registered;
}

async function load(quiet: () => Promise<void>): Promise<void> {
  let server: typeof import("@mediabunny/server");
  try {
    server = await import("@mediabunny/server");
  } catch (cause) {
    throw new DataError(
      "media-decoder-missing",
      "Decoding compressed media in Node needs the package @mediabunny/server, which is not here.",
      {
        hint: "Run: npm install @mediabunny/server (or use a folder of PNG frames and a WAV).",
        cause,
      },
    );
  }
  server.registerMediabunnyServer({ hardwareContext: null });
  guard(CustomVideoDecoder.prototype);
  guard(CustomAudioDecoder.prototype);
  await quiet();
}

type Call = (...args: unknown[]) => unknown;
type Guarded = Record<"init" | "decode" | "flush", Call>;

/** A mediabunny sample backed by FFmpeg's frame. */
interface BackedSample {
  _data?: { frame?: { decodeErrorFlags?: number } };
  close(): void;
}

/** mediabunny assigns onSample and then onError to each decoder that it makes. */
function guard(prototype: object): void {
  const failures = new WeakMap<object, (error: unknown) => void>();
  Object.defineProperty(prototype, "onSample", {
    configurable: true,
    set(this: object, onSample: (sample: BackedSample) => void) {
      const checked = (sample: BackedSample) => {
        if (!sample._data?.frame?.decodeErrorFlags) return onSample(sample);
        sample.close();
        failures.get(this)?.(new Error("a picture is damaged and FFmpeg would patch it"));
      };
      Object.defineProperty(this, "onSample", { value: checked });
    },
  });
  Object.defineProperty(prototype, "onError", {
    configurable: true,
    set(this: Guarded, onError: (error: unknown) => void) {
      let failed = false;
      const fail = (error: unknown) => {
        if (!failed) onError(error);
        failed = true;
      };
      failures.set(this, fail);
      Object.defineProperty(this, "onError", { value: fail });
      for (const name of ["init", "decode", "flush"] as const) {
        const call: Call = this[name].bind(this);
        this[name] = async (...args) => {
          if (failed) return;
          try {
            await call(...args);
          } catch (error) {
            fail(error);
          }
        };
      }
    },
  });
}
