// Plain JavaScript, in the thread of Node's module hooks: modules of a user's own are read as ESM
// wherever they lie, TypeScript or not, and "aubade" is the program that runs, whatever is installed.
import { readFile } from "node:fs/promises";
import * as nodeModule from "node:module";
import { fileURLToPath } from "node:url";

let facts = { aubade: "", mark: "" };

/** Takes the address of the running library, and the query that marks modules of a user's own. */
export function initialize(given) {
  facts = given;
}

/** Resolves "aubade" to the library that runs. */
export async function resolve(specifier, context, next) {
  return await next(specifier === "aubade" ? facts.aubade : specifier, context);
}

/** Reads a marked module as ESM. */
export async function load(url, context, next) {
  if (!url.endsWith(facts.mark)) return await next(url, context);
  const path = fileURLToPath(url.slice(0, -facts.mark.length));
  const text = await readFile(path, "utf8");
  const source = /\.m?ts$/.test(path) ? withoutTypes(text, path) : text;
  return { format: "module", source, shortCircuit: true };
}

function withoutTypes(text, path) {
  if (nodeModule.stripTypeScriptTypes) return nodeModule.stripTypeScriptTypes(text);
  for (const place of [import.meta.url, path]) {
    let esbuild;
    try {
      esbuild = nodeModule.createRequire(place)("esbuild");
    } catch {
      continue;
    }
    return esbuild.transformSync(text, { loader: "ts", format: "esm", target: "node20" }).code;
  }
  throw new Error(
    `Node ${process.version} reads no TypeScript: take Node 22.13 or newer, install esbuild beside ` +
      "the module, or write it in JavaScript",
  );
}
