import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
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
 */
export function demoAssets(options: DemoAssetsOptions = {}): Plugin {
  const { checkpoint = join(ROOT, "assets/tiny"), cache = join(ROOT, ".cache/clips") } = options;
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
          : Promise.resolve(checkpointFiles(checkpoint));
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
      for (const files of [checkpointFiles(checkpoint), await sampleClips()]) {
        for (const [fileName, read] of files) {
          this.emitFile({ type: "asset", fileName, source: read() });
        }
      }
    },
  };
}

function checkpointFiles(folder: string): Files {
  const names = readdirSync(folder).filter((name) => /\.(json|jinja|safetensors)$/.test(name));
  return new Map(
    names.map((name) => [`checkpoint/${name}`, () => readFileSync(join(folder, name))]),
  );
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
