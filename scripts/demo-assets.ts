import { execFile } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Plugin } from "vite";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const TYPES: Record<string, string> = { json: "application/json", mp4: "video/mp4" };

/** The folders that the demo's files come from. */
export interface DemoAssetsOptions {
  /** Checkpoint folder that the page loads. */
  checkpoint?: string;
  /** Folder that keeps generated clips. */
  cache?: string;
}

/** A file of the page by its address, such as `clips/00000.mp4`. */
type Files = Map<string, () => Uint8Array | string>;

/**
 * Serves the checkpoint under `checkpoint/` and freshly made sample clips under `clips/`; a build
 * puts both beside the page. Nothing of either is committed with the page.
 *
 * @throws {Error} for a checkpoint folder that is not there, or holds adapters alone.
 */
export function demoAssets(options: DemoAssetsOptions = {}): Plugin {
  const { checkpoint = join(ROOT, "assets/tiny"), cache = join(ROOT, ".cache/clips") } = options;
  const name = options.checkpoint === undefined ? "the warm start, before GRPO" : checkpoint;
  refuseNoModel(checkpoint);
  let clips: Promise<Files> | undefined;
  const sampleClips = () => (clips ??= makeClips(cache));
  return {
    name: "demo-assets",
    configureServer({ middlewares, config }) {
      sampleClips().catch((error: Error) => config.logger.error(error.message));
      middlewares.use((request, response, next) => {
        const path = decodeURIComponent((request.url ?? "").replace(/[?#].*$/, "").slice(1));
        if (!/^(checkpoint|clips)\//.test(path)) return next();
        const wanted = path.startsWith("clips/")
          ? sampleClips()
          : Promise.resolve(checkpointFiles(checkpoint, name));
        wanted
          .then((files) => {
            const file = files.get(path);
            response.statusCode = file === undefined ? 404 : 200;
            response.setHeader("Content-Type", TYPES[path.split(".").at(-1)!] ?? "text/plain");
            response.end(file === undefined || request.method === "HEAD" ? "" : file());
          })
          .catch((error: Error) => {
            response.statusCode = 500;
            response.end(error.message);
          });
      });
    },
    async generateBundle() {
      for (const files of [checkpointFiles(checkpoint, name), await sampleClips()]) {
        for (const [fileName, read] of files) {
          this.emitFile({ type: "asset", fileName, source: read() });
        }
      }
    },
  };
}

/** Refuses a folder from which a page could load no model. */
function refuseNoModel(folder: string): void {
  if (existsSync(join(folder, "config.json"))) return;
  const adapters = existsSync(join(folder, "adapter_config.json"));
  throw new Error(
    adapters
      ? `${folder} holds adapters, and a page loads whole models: write one with ` +
          `"node aubade.js export ${folder} --merge --out FOLDER" and set AUBADE_DEMO_MODEL to it.`
      : `${folder} holds no model: set AUBADE_DEMO_MODEL to the model folder of a run.`,
  );
}

/** The files of a checkpoint, and what the page is to call it: the last two parts of its path. */
function checkpointFiles(folder: string, name: string): Files {
  const names = readdirSync(folder).filter((name) => /\.(json|jinja|safetensors)$/.test(name));
  const called = name.split(/[\\/]/).slice(-2).join("/");
  return new Map<string, () => Uint8Array | string>([
    ["checkpoint/about.json", () => JSON.stringify({ name: called })],
    ...names.map((file) => [`checkpoint/${file}`, () => readFileSync(join(folder, file))] as const),
  ]);
}

/** The clip maker runs in a process of its own: it loads FFmpeg's encoders. */
async function makeClips(cache: string): Promise<Files> {
  const script = join(ROOT, "scripts/make-demo-clips.ts");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", script, cache],
    { cwd: ROOT },
  );
  const { folder, clips } = JSON.parse(stdout) as { folder: string; clips: { file: string }[] };
  const files: Files = new Map([["clips/clips.json", () => JSON.stringify(clips)]]);
  for (const { file } of clips) {
    files.set(`clips/${basename(file)}`, () => readFileSync(join(folder, file)));
  }
  return files;
}
