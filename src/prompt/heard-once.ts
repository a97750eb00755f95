import { DataError } from "../core/errors.ts";
import { isUrl } from "../io/path.ts";
import type { MediaPart, MediaReference } from "../text/chat-template.ts";
import { fileOf, type LoadedMedium, type MediumWarning, type PlannedMedium } from "./media.ts";

/**
 * Refuses a row in which a sound is a part of its own and the soundtrack of a video besides.
 *
 * Both runs would have features, so that nothing else is wrong with such a row; a model that was
 * never trained on it babbles. Sounds are one when they are of one file, by whatever path, or when
 * they were decoded to the same samples.
 *
 * @throws {DataError} `sound-twice` that names both media.
 */
export function checkHeardOnce(
  row: string,
  parts: readonly MediaPart[],
  media: readonly LoadedMedium[],
  planned: readonly PlannedMedium[],
): void {
  const heard = (i: number): boolean => planned[i]!.melFrames > 0;
  for (const i of parts.keys()) {
    if (parts[i]!.type !== "audio" || !heard(i)) continue;
    const twin = parts.findIndex(
      ({ type }, j) =>
        type === "video" &&
        heard(j) &&
        (sameFile(parts[i]!, media[i]!, parts[j]!, media[j]!) || sameSound(media[i]!, media[j]!)),
    );
    if (twin < 0) continue;
    throw new DataError(
      "sound-twice",
      `${row}: medium ${i + 1}, audio ${planned[i]!.shape.file}, is also the soundtrack of medium ` +
        `${twin + 1}, video ${planned[twin]!.shape.file}: the sound would be heard twice.`,
      { hint: "Leave the audio part out, or set use_audio_in_video to false for the video." },
    );
  }
}

/** Names the media that a row gives twice as parts of one kind, which may be meant. */
export function repeatedMedia(
  row: string,
  parts: readonly MediaPart[],
  media: readonly LoadedMedium[],
): MediumWarning[] {
  return parts.flatMap((part, i) => {
    const first = parts.findIndex(
      ({ type }, j) =>
        type === part.type &&
        (j === i ||
          sameFile(parts[j]!, media[j]!, part, media[i]!) ||
          sameContent(media[j]!, media[i]!)),
    );
    if (first === i) return [];
    const name = `${part.type} ${fileOf(media[i]!)}`;
    const message = `${row}: medium ${i + 1}, ${name}, is medium ${first + 1} again.`;
    return [{ code: "medium-repeated", message }];
  });
}

/** Files are one by their names; bytes only by being the same object, for their names repeat. */
function sameFile(a: MediaPart, ofA: LoadedMedium, b: MediaPart, ofB: LoadedMedium): boolean {
  const [one, other] = [referenceOf(a), referenceOf(b)];
  if (typeof one === "object" || typeof other === "object") {
    if (typeof one !== "object" || typeof other !== "object") return false;
    return !isList(one) && !isList(other) && one.data === other.data;
  }
  return plainName(fileOf(ofA)) === plainName(fileOf(ofB));
}

function referenceOf(part: MediaPart): MediaReference | readonly MediaReference[] | undefined {
  if (part.type === "video") return part.video;
  return part.type === "audio" ? part.audio : part.image;
}

function isList(value: object): value is readonly MediaReference[] {
  return Array.isArray(value);
}

/** One spelling of a path or an address: without `.`, `..` and what follows `#`. */
function plainName(name: string): string {
  if (isUrl(name)) return new URL(name).href.replace(/#.*$/, "");
  const path = name.replace(/^file:\/\//, "");
  const kept: string[] = [];
  for (const step of path.split(/[/\\]+/)) {
    if (step === "..") {
      if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
      else kept.push(step);
    } else if (step !== "." && step !== "") kept.push(step);
  }
  return `${/^[/\\]/.test(path) ? "/" : ""}${kept.join("/")}`;
}

function samplesOf(medium: LoadedMedium): Float32Array {
  return medium.kind === "image" ? new Float32Array() : (medium.audio?.samples ?? NO_SOUND);
}

const NO_SOUND = new Float32Array();

/** Tells whether two media have the same samples under two names; silence is no evidence. */
function sameSound(a: LoadedMedium, b: LoadedMedium): boolean {
  const samples = samplesOf(a);
  return equal(samples, samplesOf(b)) && samples.some((value) => value !== 0);
}

function sameContent(a: LoadedMedium, b: LoadedMedium): boolean {
  if (a.kind === "audio" && b.kind === "audio") return sameSound(a, b);
  const [frames, others] = [framesOf(a), framesOf(b)];
  return (
    frames.length > 0 &&
    frames.length === others.length &&
    frames.every(({ width, rgb }, i) => width === others[i]!.width && equal(rgb, others[i]!.rgb))
  );
}

function framesOf(medium: LoadedMedium) {
  if (medium.kind === "audio") return [];
  return medium.kind === "image" ? [medium.frame] : medium.video.frames;
}

function equal(a: Float32Array | Uint8Array, b: Float32Array | Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
