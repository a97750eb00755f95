/**
 * Waits for a promise, but not longer than until the signal: some bodies that are aborted between
 * two reads stay silent for ever, as the fetch of Node 20 loses its signal to the garbage collector.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/**
 * Collects the pieces of a body, up to a number of bytes.
 *
 * @param read - gives the next piece; undefined at the end.
 * @throws {RangeError} when the body is longer: a body without an end is never an answer.
 */
export async function wholeBody(
  read: () => Promise<Uint8Array | undefined>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let part = await read(); part !== undefined; part = await read()) {
    parts.push(part);
    length += part.length;
    if (length > maxBytes) throw new RangeError(`the answer has more than ${maxBytes} bytes`);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
