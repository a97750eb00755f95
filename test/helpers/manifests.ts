import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../golden/manifests/", import.meta.url);

/** A released checkpoint: its configuration, and the tensors that its files store. */
export interface ReleasedModel {
  /** Name on the hub without the owner, for example `Qwen2.5-VL-3B-Instruct`. */
  name: string;
  /** Path of a `config.json` laid out as the released one. */
  configPath: string;
  /** Stored name to shape, row-major; bf16 in the released files. */
  tensors: Map<string, number[]>;
}

/** Another spelling of the names of a family: stored prefixes and what replaces them. */
export interface Spelling {
  /** `qwen2-5-omni`, `qwen2-5-vl` or `qwen2-audio`. */
  family: string;
  /** The program that writes such names. */
  writtenBy: string;
  /** Prefix as the hub stores it, and in this spelling; the first one that fits is replaced. */
  prefixes: [hub: string, other: string][];
}

interface ManifestFile {
  model: string;
  tensors: { pattern: string; count?: number; shape: number[] }[];
}

/** Every released checkpoint that the project reads, from `test/golden/manifests`. */
export function releasedModels(): ReleasedModel[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => {
      const folder = new URL(`${entry.name}/`, FOLDER);
      const manifest = readJson(new URL("tensors.json", folder)) as ManifestFile;
      const tensors = new Map<string, number[]>();
      for (const { pattern, count = 1, shape } of manifest.tensors) {
        for (let i = 0; i < count; i++) tensors.set(pattern.replace("{}", `${i}`), shape);
      }
      const configPath = fileURLToPath(new URL("config.json", folder));
      return { name: manifest.model, configPath, tensors };
    });
}

/** The rarer spellings of tensor names. */
export function spellings(): Spelling[] {
  const file = readJson(new URL("spellings.json", FOLDER)) as {
    [family: string]: { [writtenBy: string]: [string, string][] };
  };
  return Object.entries(file).flatMap(([family, kinds]) =>
    Object.entries(kinds).map(([writtenBy, prefixes]) => ({ family, writtenBy, prefixes })),
  );
}

/**
 * A hub name in another spelling.
 *
 * @throws {Error} when no prefix of the spelling fits.
 */
export function respell(name: string, { prefixes, writtenBy }: Spelling): string {
  const rule = prefixes.find(([hub]) => name.startsWith(hub));
  if (rule === undefined) throw new Error(`"${name}" has no spelling in ${writtenBy}.`);
  return rule[1] + name.slice(rule[0].length);
}

function readJson(url: URL): unknown {
  return JSON.parse(readFileSync(url, "utf8"));
}
