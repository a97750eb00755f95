import { DataError } from "../core/errors.ts";

/** Returns the error of a file that says that it holds more than it does. */
export function cutOff(file: string, stated: string, there: string): DataError {
  return new DataError("media-cut-off", `${file} is cut off: it states ${stated}, but ${there}.`, {
    hint: "Fetch it again, or write what is left into a file of its own: ffmpeg -i OLD -c copy NEW.",
  });
}

/** Returns the error of a file with bytes in its middle that belong to nothing. */
export function holed(file: string, where: string): DataError {
  return new DataError("media-holed", `${file} is damaged in its middle: ${where}.`, {
    hint: "Fetch it again or leave the row out.",
  });
}

/** Returns the error of a file without bytes. */
export function emptyFile(file: string): DataError {
  return new DataError("media-empty-file", `${file} is empty: it has 0 bytes.`, {
    hint: "Fetch it again or leave the row out.",
  });
}
