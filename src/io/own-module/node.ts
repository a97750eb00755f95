import { register } from "node:module";

/** Marks the address of a module of a user's own, so that Node's hooks know it. */
const MARK = "?aubade-module";

let registered = false;

/**
 * Imports a module of a user's own: ESM whatever package it lies in, TypeScript or JavaScript, with
 * "aubade" for the library that runs.
 *
 * @param url of the file.
 */
export async function importOwnModule(url: string): Promise<Record<string, unknown>> {
  if (!registered) {
    const here = import.meta.url;
    const aubade = new URL(here.endsWith(".ts") ? "../../index.ts" : "./index.js", here).href;
    register(new URL("./hooks.js", import.meta.url), { data: { aubade, mark: MARK } });
    registered = true;
  }
  return (await import(/* @vite-ignore */ `${url}${MARK}`)) as Record<string, unknown>;
}
