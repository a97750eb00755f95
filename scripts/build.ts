// npm run build: dist/node/index.js and dist/web/index.js (one module each, shaders inside) and the
// declarations in dist/types.
import { readFileSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { build, type Plugin } from "vite";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const ENTRY = join(ROOT, "src/index.ts");

/** Where a build runs: each has its own side of the platform switches in package.json. */
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

/** Bundles the library for a platform; every package that it imports stays an import. */
export async function bundle(platform: Platform, outDir: string): Promise<void> {
  await build({
    root: ROOT,
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    plugins: [inlineShaders()],
    resolve: { conditions: platform === "node" ? ["node"] : ["browser"] },
    build: {
      target: "es2023",
      outDir,
      emptyOutDir: true,
      minify: false,
      sourcemap: false,
      reportCompressedSize: false,
      ssr: platform === "node",
      lib: { entry: ENTRY, formats: ["es"], fileName: () => "index.js" },
      rolldownOptions: {
        external: (id) => /^(?:node:|[a-z@])/.test(id) && id !== ENTRY,
        output: { codeSplitting: false },
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
