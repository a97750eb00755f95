/*
 * Writes what aubade decodes from lossless clips, so that the Python scripts beside this file work on
 * the same samples: node --import tsx test/golden/media/dump-samples.ts FOLDER
 *
 * FOLDER/<name>.f32: 16 kHz mono; FOLDER/<name>-<frame>.rgb: a decoded frame, 320 x 180.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeVideo } from "../../../src/media/decode-video.ts";
import { loadAudio } from "../../../src/media/load.ts";
import { FILM_FRAMES, LOSSLESS } from "../../media/golden.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("Name the folder to write to.");
mkdirSync(folder, { recursive: true });
for (const [name, path] of Object.entries(LOSSLESS)) {
  const { samples } = await loadAudio(path);
  writeFileSync(join(folder, `${name}.f32`), samples);
  if (!path.endsWith(".mp4")) continue;
  const { frames, width, height } = await decodeVideo(path, () => FILM_FRAMES);
  frames.forEach(({ rgb }, i) => writeFileSync(join(folder, `${name}-${FILM_FRAMES[i]}.rgb`), rgb));
  console.log(`${name}: ${samples.length} samples, frames of ${width} x ${height}`);
}
