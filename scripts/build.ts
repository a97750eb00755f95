// npm run build: the library for Node (dist/node/index.js) and for pages (dist/web/index.js, one
// module), the command line (dist/node/cli.js), and the declarations in dist/types. Shaders are inside.
import { readFileSync, rmSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { build, type Plugin } from "vite";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const ENTRY = join(ROOT, "src/index.ts");
const COMMAND_LINE = join(ROOT, "src/cli/aubade.ts");

/**
 * The platform that a build is for: each has its own side of the platform switches in package.json.
 */
export type Platform = "node" | "web";

/**
 * Puts WGSL files into the module as data URLs.
 *
 * A URL next to the module would break where a page's bundler moves the module: Vite's dev server
 * does so with every dependency. `fetch` reads a data URL in Node as in a page.
 */
export function inlineShaders(): Plugin {
  return {
    name: "inline-shaders",
    enforce: "pre",
    transform(code, id) {
      if (!code.includes(".wgsl")) return null;
      const replaced = code.replace(
        /new URL\(\s*"([^"]+\.wgsl)",\s*import\.meta\.url,?\s*\)/g,
        (_, path: string) => {
          const file = resolve(dirname(id), path);
          this.addWatchFile(file);
          const text = encodeURIComponent(readFileSync(file, "utf8")).replaceAll("'", "%27");
          return `new URL(${JSON.stringify(`data:text/wgsl,${text}`)})`;
        },
      );
      return { code: replaced, map: null };
    },
  };
}

/**
 * Builds every program that a module starts by its URL, such as a worker, as a file of its own
 * beside it, and names that file.
 */
export function startedPrograms(): Plugin {
  return {
    name: "started-programs",
    enforce: "pre",
    transform(code, id) {
      if (!/import\.meta\.url/.test(code)) return null;
      const replaced = code.replace(
        /new URL\(\s*"([^"]+\.[tj]s)",\s*import\.meta\.url,?\s*\)/g,
        (_, path: string) => {
          const name = basename(path).replace(/\.[tj]s$/, "");
          this.emitFile({ type: "chunk", id: resolve(dirname(id), path), fileName: `${name}.js` });
          return `new URL(${JSON.stringify(`./${name}.js`)}, import.meta.url)`;
        },
      );
      return { code: replaced, map: null };
    },
  };
}

/** Leaves out the reading of TypeScript: nothing of it is left in a build. */
export function withoutTypeScript(): Plugin {
  return {
    name: "without-typescript",
    enforce: "pre",
    load: (id) =>
      id.endsWith("/src/core/read-typescript.js")
        ? "export async function readTypeScript() {}"
        : null,
  };
}

/** Bundles the library for a platform, for Node with the command line; packages stay imports. */
export async function bundle(platform: Platform, outDir: string): Promise<void> {
  const node = platform === "node";
  const entry: Record<string, string> = node
    ? { index: ENTRY, cli: COMMAND_LINE }
    : { index: ENTRY };
  const entries = Object.values(entry);
  await build({
    root: ROOT,
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    plugins: [inlineShaders(), ...(node ? [startedPrograms(), withoutTypeScript()] : [])],
    resolve: { conditions: node ? ["node"] : ["browser"] },
    build: {
      target: "es2023",
      outDir,
      emptyOutDir: true,
      minify: false,
      sourcemap: false,
      reportCompressedSize: false,
      ssr: node,
      lib: { entry, formats: ["es"], fileName: (_, name) => `${name}.js` },
      rolldownOptions: {
        external: (id) => /^(?:node:|[a-z@])/.test(id) && !entries.includes(id),
        // All files in one folder, where a URL beside a module is one beside every other.
        output: node ? { chunkFileNames: "[name]-[hash].js" } : { codeSplitting: false },
      },
    },
  });
}

/**
 * Writes the declarations with `.js` endings on their imports, and with Node's side of each platform switch:
 * both sides have the same names.
 *
 * @throws {Error} with TypeScript's messages when the sources have errors.
 */
export function declarations(outDir: string): void {
  const path = join(ROOT, "tsconfig.json");
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: fail };
  const parsed = ts.getParsedCommandLineOfConfigFile(path, undefined, host)!;
  const program = ts.createProgram([ENTRY], {
    ...parsed.options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: join(ROOT, "src"),
    outDir,
  });
  const { imports: switches } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    imports: Record<string, { node: string }>;
  };
  const { diagnostics } = program.emit(undefined, (file, text) => {
    const rewritten = text
      .replace(/((?:from|import\()\s*")#(\w+)"/g, (_, before: string, name: string) => {
        const source = switches[`#${name}`]!.node.replace(/^\.\/src\//, "").replace(/ts$/, "js");
        const target = relative(dirname(file), join(outDir, source)).replaceAll("\\", "/");
        return `${before}${target.startsWith(".") ? target : `./${target}`}"`;
      })
      .replace(/((?:from|import\()\s*"\.[^"]*)\.ts"/g, '$1.js"');
    ts.sys.writeFile(file, rewritten);
  });
  const errors = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  if (errors.length > 0) fail(errors[0]!);
}

function fail(diagnostic: ts.Diagnostic): never {
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
  throw new Error(`${diagnostic.file?.fileName ?? "tsconfig.json"}: ${text}`);
}

/** Makes the whole of dist/ anew. */
export async function buildAll(): Promise<void> {
  const dist = join(ROOT, "dist");
  rmSync(dist, { recursive: true, force: true });
  for (const platform of ["node", "web"] as const) await bundle(platform, join(dist, platform));
  declarations(join(dist, "types"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildAll();
