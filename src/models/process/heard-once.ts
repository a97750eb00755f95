import { DataError } from "../../core/errors.ts";
import type { MediaReference, MediaPart } from "../../text/chat-template.ts";
import type { LoadedMedium, PlannedMedium } from "./media.ts";

/**
 * Refuses a row in which a sound is a part of its own and the soundtrack of a video besides.
 *
 * Both runs would have features, so that nothing else is wrong with such a row; a model that was
 * never trained on it babbles.
 *
 * @throws {DataError} `sound-twice` that names both media.
 */
export function checkHeardOnce(
  row: string,
  parts: readonly MediaPart[],
  media: readonly LoadedMedium[],
  planned: readonly PlannedMedium[],
): void {
  const sounds = parts.map((_, i) => soundOf(parts[i]!, media[i]!, planned[i]!));
  for (const [i, sound] of sounds.entries()) {
    if (sound === undefined || parts[i]!.type !== "audio") continue;
    const twin = sounds.findIndex(
      (other, j) => other !== undefined && parts[j]!.type === "video" && sameSound(sound, other),
    );
    if (twin < 0) continue;
    throw new DataError(
      "sound-twice",
      `${row}: medium ${i + 1}, audio ${sound.file}, is also the soundtrack of medium ${twin + 1}, ` +
        `video ${planned[twin]!.shape.file}: the sound would be heard twice.`,
      { hint: "Leave the audio part out, or set use_audio_in_video to false for the video." },
    );
  }
}

interface Sound {
  reference: MediaReference | undefined;
  file: string;
}

/** The sound of a medium that will be heard. */
function soundOf(
  part: MediaPart,
  medium: LoadedMedium,
  { melFrames }: PlannedMedium,
): Sound | undefined {
  if (melFrames === 0 || medium.kind === "image") return undefined;
  const { file } = medium.audio!;
  const reference = part.type === "audio" ? part.audio : part.type === "video" ? part.video : "";
  return { reference: isReference(reference) ? reference : undefined, file };
}

function isReference(value: VideoReference): value is MediaReference {
  return value !== undefined && !Array.isArray(value);
}

type VideoReference = MediaReference | readonly MediaReference[] | undefined;

/** Files are one by their names, bytes only by being the same object: names of bytes repeat. */
function sameSound(a: Sound, b: Sound): boolean {
  if (typeof a.reference === "object" || typeof b.reference === "object") {
    return dataOf(a) !== undefined && dataOf(a) === dataOf(b);
  }
  return a.file === b.file;
}

function dataOf({ reference }: Sound): Uint8Array | Blob | undefined {
  return typeof reference === "object" ? reference.data : undefined;
}
