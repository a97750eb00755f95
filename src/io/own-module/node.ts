import { register } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** Marks the address of a module of a user's own, so that Node's hooks know it. */
const MARK = "?aubade-module";

let registered = false;

/**
 * Imports a module of a user's own: ESM whatever package it lies in, TypeScript or JavaScript, with
 * "aubade" for the library that runs.
 *
 * @param path of the file, or its file URL.
 */
export async function importOwnModule(path: string): Promise<Record<string, unknown>> {
  if (!registered) {
    const here = import.meta.url;
    const aubade = new URL(here.endsWith(".ts") ? "../../index.ts" : "./index.js", here).href;
    register(new URL("./hooks.js", import.meta.url), { data: { aubade, mark: MARK } });
    registered = true;
  }
  const url = path.startsWith("file:") ? path : pathToFileURL(resolve(path)).href;
  return (await import(/* @vite-ignore */ `${url}${MARK}`)) as Record<string, unknown>;
}
