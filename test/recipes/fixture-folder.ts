import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Events } from "../../src/core/events.ts";
import { clipFileName } from "../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../src/datasets/tiny/node.ts";
import { RELEASES } from "../datasets/releases/fixtures.ts";

/** Media that the rows of the fixtures name, by data set. */
const MEDIA: Record<string, readonly string[]> = {
  "intent-train": ["MER24/sample_00000000.mp4", "social_iq/def.mp4"],
  "intent-bench": ["abc_trimmed-out.mp4", "sample_00000001.mp4", "000-00-01.mp4"],
  avqa: ["audio/-HG3Omg_89c_30.wav"],
  mmau: ["test-mini-audios/m-1.wav"],
  conversations: ["clips/one.mp4"],
};

/** A second of a 440 Hz tone as a 16-bit WAV file of 16 kHz. */
function tone(): Buffer {
  const samples = 16_000;
  const wav = Buffer.alloc(44 + 2 * samples);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + 2 * samples, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(samples, 24);
  wav.writeUInt32LE(2 * samples, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(2 * samples, 40);
  for (let i = 0; i < samples; i++) {
    wav.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / 16_000)), 44 + 2 * i);
  }
  return wav;
}

/** Writes the fixture of a data set with small media of our own into `root/NAME`, and returns it. */
export async function fixtureFolder(root: string, name: string): Promise<string> {
  const folder = join(root, name);
  const write = (file: string, content: string | Buffer): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  };
  for (const [file, rows] of Object.entries(RELEASES[name]!)) {
    // A picture would need a file of its own.
    const used = (rows as Record<string, unknown>[]).filter((row) => row["image"] === undefined);
    const lines = /line\.json$|\.jsonl$/.test(file);
    write(file, lines ? used.map((row) => JSON.stringify(row)).join("\n") : JSON.stringify(used));
  }
  const clips = await prepareClips({
    ...{ folder: join(root, "clips"), seed: 4, indices: [0, 1, 2], events: new Events() },
  });
  for (const [at, file] of (MEDIA[name] ?? []).entries()) {
    if (file.endsWith(".wav")) write(file, tone());
    else {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      cpSync(join(clips, clipFileName(at)), join(folder, file));
    }
  }
  return folder;
}
