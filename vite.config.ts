import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { demoAssets } from "./scripts/demo-assets.ts";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const checkpoint = process.env["AUBADE_DEMO_MODEL"];

// Static files only: what `vite build` writes works from any folder of any host.
// eslint-disable-next-line import/no-default-export
export default defineConfig({
  root: folder("./demo"),
  base: "./",
  appType: "mpa",
  publicDir: false,
  plugins: [demoAssets(checkpoint === undefined ? {} : { checkpoint })],
  server: { fs: { allow: [folder(".")] } },
  // Found at first use these would make the dev server reload the page in the middle of its work.
  optimizeDeps: {
    include: ["yaml", "zod", "mediabunny", "@huggingface/jinja", "@huggingface/tokenizers"],
  },
  worker: { format: "es" },
  build: {
    target: "es2023",
    outDir: folder("./demo/dist"),
    emptyOutDir: true,
    chunkSizeWarningLimit: 2000,
  },
});
